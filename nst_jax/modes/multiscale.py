"""From coarse to fine: each scale starts from what the coarser one made.

Large shapes are found where they are cheap, and the fine scales only have to fill them
in (Gatys et al. 2017, "Controlling Perceptual Factors", section 6). Targets are
computed anew at each scale; the network stays the same. The second stage of a
photorealistic run is one more scale, of the same size (Luan et al. 2017).
"""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from nst_jax.images.initial import finer
from nst_jax.images.resize import resample
from nst_jax.modes.single import single
from nst_jax.objective.objective import Extract, LossWeights
from nst_jax.objective.regions import Regions
from nst_jax.objective.statistics.base import Statistic
from nst_jax.objective.statistics.gram import GramMatrix
from nst_jax.objective.targets import Style
from nst_jax.solve.loop import Outcome, Record, Resume
from nst_jax.solve.state import Solver
from nst_jax.types import Image, Params, Stencil

# Outcomes of a scale after which the next one follows.
DONE = ("finished", "converged", "stalled")


class Scale(NamedTuple):
    """What one scale is about.

    Attributes:
        content: (h, w, 3) in [0, 1], of this scale's size.
        styles: one picture (h', w', 3) in [0, 1], or several and their weights.
        weights: of the objective at this scale.
        iterations: steps after the evaluation of its start.
        regions: of the content at this size, if each has a style of its own.
        matting: the content's matting Laplacian at this size, if the weights have
            ``photorealism``.
    """

    content: Image
    styles: tuple[Style, ...]
    weights: LossWeights
    iterations: int
    regions: Regions | None = None
    matting: Stencil | None = None


def multiscale(
    scales: Sequence[Scale],
    start: Image,
    *,
    extract: Extract,
    params: Params,
    solver: Solver,
    statistic: Statistic = GramMatrix(),  # noqa: B008
    circular: bool = False,
    resume: Resume | None = None,
    pauses: frozenset[int] = frozenset(),
    should_stop: Callable[[], bool] = lambda: False,
    keep_state: Callable[[], bool] | None = None,
    totals: Sequence[float] = (),
    began: float | None = None,
    **options,
) -> Iterator[Record]:
    """``single`` at each of ``scales``; with one scale it is exactly that.

    A scale that converges or stalls early gives way to the next one.

    Args:
        scales: from coarse to fine.
        start: (h, w, 3), of the first scale's size.
        extract: see ``single``.
        params: see ``single``; of all scales.
        solver: begins anew at each scale.
        statistic: what is meant by style, at all scales.
        circular: whether opposite edges of the picture are neighbours.
        resume: a record that was handed out, and the state after it: the run goes on
            with the record after it.
        pauses: iterations, numbered through, whose record must carry the picture.
        should_stop: see ``solve.loop.optimise``; asked between scales too.
        keep_state: see ``solve.loop.optimise``; asked between scales too.
        totals: of the whole run so far, or at least of the scale that ``resume`` is in;
            see ``solve.loop.optimise``.
        began: ``time.perf_counter()`` value that times count from.
        **options: of ``solve.loop.optimise``: ``minutes``, ``tolerance``, ...

    Yields:
        ``iterations + 1`` records for each scale, the first of them for its start,
        numbered through; ``size``, ``scale`` and the losses are those of the scale.
        Pictures are of the last scale's size: those of coarser scales are enlarged.
        Only the last record of all has an outcome.

    Raises:
        ValueError: if ``resume`` does not fit; else as ``single``.
    """
    began = time.perf_counter() if began is None else began
    first = 0 if resume is None else resume.record.scale
    if first >= len(scales):
        raise ValueError(
            f"there is no scale {first + 1} to go on with: there are {len(scales)}"
        )
    sums = Sums() if resume is None else _sums_before(resume)
    for index, scale in enumerate(scales[first:], first):
        state = resume.state if resume is not None and index == first else None
        known = 0 if state is None else int(state.evaluations)
        records = single(
            scale.content,
            scale.styles,
            start if state is None else scale.content,
            extract=extract,
            params=params,
            weights=scale.weights,
            solver=solver,
            statistic=statistic,
            regions=scale.regions,
            matting=scale.matting,
            circular=circular,
            iterations=scale.iterations,
            pauses=frozenset(pause - sums.iteration for pause in pauses),
            should_stop=should_stop,
            keep_state=keep_state,
            resume=state,
            totals=totals[-known:] if known else (),
            began=began,
            **options,
        )
        records = (numbered(record, sums, index) for record in records)
        # What was at its end when the run stopped comes once more.
        known += sums.iteration
        for record in records:
            if record.outcome is None:
                yield _handed_out(record, scales, pauses, circular)
            elif run_ends(record, scales, should_stop):
                yield at_end(record, scales, circular=circular)
                return
            else:
                ended = record
                if record.iteration >= known:
                    yield _end_of_scale(record, scales, pauses, keep_state, circular)
        larger = enlarged(ended.picture, scale, scales[index + 1], circular=circular)
        start = jnp.asarray(larger)
        sums = sums_after(ended)


class Sums(NamedTuple):
    """What the records of a scale count on from: all that the scales before it took.

    Named as the fields of a record; ``iteration`` is that of the scale's start.
    """

    iteration: int = 0
    evaluations: int = 0
    refused: int = 0
    compile_seconds: float = 0.0
    solve_seconds: float = 0.0


def sums_after(record: Record) -> Sums:
    """What the next scale counts on from, after the last record of one."""
    sums = Sums(*(getattr(record, field) for field in Sums._fields))
    return sums._replace(iteration=record.iteration + 1)


def _sums_before(resume: Resume) -> Sums:
    """Those of the scales before the one to go on with; times are this process's."""
    record, state = resume.record, resume.state
    return Sums(
        iteration=record.iteration + 1 - int(state.evaluations),
        evaluations=record.evaluations - int(state.evaluations),
        refused=record.refused - int(state.refused),
    )


def numbered(record: Record, sums: Sums, index: int) -> Record:
    """A record of scale ``index``, numbered through all scales."""
    counted = {
        field: value + getattr(record, field) for field, value in sums._asdict().items()
    }
    return record._replace(scale=index, **counted)


def run_ends(record: Record, scales: Sequence[Scale], should_stop) -> bool:
    """Whether the end of a scale is the end of the run."""
    assert record.outcome is not None
    is_last = record.scale == len(scales) - 1
    return is_last or record.outcome.code not in DONE or should_stop()


def _handed_out(record: Record, scales: Sequence[Scale], pauses, circular) -> Record:
    """A record with its picture at the size of the result, or without one."""
    if record.picture is None or record.scale == len(scales) - 1:
        return record
    if record.outcome is None and record.iteration not in pauses:
        return record._replace(picture=None)
    pair = scales[record.scale], scales[-1]
    picture = enlarged(record.picture, *pair, circular=circular)
    return record._replace(picture=picture)


def _end_of_scale(record: Record, scales, pauses, keep_state, circular) -> Record:
    """The last record of a scale that another one follows."""
    state = record.state if keep_state and keep_state() else None
    record = record._replace(outcome=None, state=state)
    return _handed_out(record, scales, pauses, circular)


def at_end(
    record: Record, scales: Sequence[Scale], *, circular: bool = False
) -> Record:
    """The last record of all; its outcome says at which scale it is."""
    outcome, count = record.outcome, len(scales)
    assert outcome is not None
    if count == 1:
        return record
    where = f"{kind_of(scales)} {record.scale + 1} of {count} ({record.size} pixels)"
    code, text = outcome.code, f"{where}: {outcome.text}"
    if record.scale < count - 1:
        largest = max(scales[-1].content.shape[:2])
        text += f"; enlarged to {largest} pixels" if record.size < largest else ""
        # Stopped between two scales: only this scale was finished.
        code = "interrupted" if code in DONE else code
    record = record._replace(outcome=Outcome(code, text))
    return _handed_out(record, scales, (), circular)


def kind_of(scales: Sequence[Scale]) -> str:
    """What the user knows them as: scales, or stages where two are of one size."""
    return "stage" if len({s.content.shape for s in scales}) < len(scales) else "scale"


def enlarged(
    picture, scale: Scale, finer_scale: Scale, *, circular: bool = False
) -> np.ndarray:
    """A picture of one scale at the size of a finer one, float32, not clipped.

    Where content counts, the finer content's own detail is put in.

    Args:
        picture: ``(h, w, 3)``.
        scale: it is of.
        finer_scale: it is to be of.
        circular: whether its opposite edges are neighbours.
    """
    if scale.content.shape == finer_scale.content.shape:
        return np.asarray(picture, np.float32)
    content, larger = np.asarray(scale.content), np.asarray(finer_scale.content)
    weights = finer_scale.weights
    if any(float(weights.alpha * weight) > 0 for weight in weights.content.values()):
        return finer(picture, content, larger, circular=circular)
    picture = np.asarray(picture, np.float32)
    return resample(picture, *larger.shape[:2], circular=circular)
