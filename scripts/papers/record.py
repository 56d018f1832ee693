"""Results as files: an experiment's JSON record, and its figures beside it."""

import datetime
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
from PIL.Image import Image

from nst_jax.outputs.files import write_text
from nst_jax.outputs.manifest import device_name, versions
from scripts.papers.experiment import Experiment
from scripts.papers.lab import Lab
from scripts.papers.settings import Settings

QUALITY = 80  # of JPEG
DIGITS = 5  # of numbers

Record = dict[str, Any]


def perform(experiment: Experiment, lab: Lab, folder: Path) -> Record:
    """Run an experiment, judge it, write its figures and its record."""
    if reason := why_not(experiment, lab):
        return _written(folder, {"name": experiment.name, "not_run": reason})
    began = time.perf_counter()
    found = experiment.run(lab)
    seconds = round(time.perf_counter() - began, 1)
    figures = [
        _save(folder, "-".join(filter(None, (experiment.name, name))), figure)
        for name, figure in found.figures.items()
    ]
    record = {
        "name": experiment.name,
        "settings": settings_of(lab.settings),
        "network": lab.network_name,
        "device": device_name(jax.devices()[0]),
        "versions": versions(),
        "date": datetime.date.today().isoformat(),
        "seconds": seconds,
        "rows": [{k: _rounded(v) for k, v in row.items()} for row in found.rows],
        "notes": list(found.notes),
        "figures": figures,
    }
    return _written(folder, judged(experiment, record))


def judged(experiment: Experiment, record: Record) -> Record:
    """The record with the verdicts that its rows deserve."""
    if "rows" not in record:
        return record
    quick = record["settings"]["quick"]
    laws, not_asked = [], []
    for law in experiment.laws:
        verdict = law.judge(record["rows"], quick=quick)
        if quick and law.quick is None:
            not_asked.append(verdict.text)
        else:
            laws.append({**verdict._asdict(), "broken": law.broken})
    found = {**record, "laws": laws, "not_asked": not_asked}
    if not not_asked:
        del found["not_asked"]
    return found


def why_not(experiment: Experiment, lab: Lab) -> str | None:
    """Why an experiment cannot be run here, or None."""
    absent = [name for name in experiment.needs if not lab.has(name)]
    if absent:
        return f"weights absent: {', '.join(absent)}"
    if experiment.pair and not lab.settings.own:
        return "no --content and --style given"
    return None


def settings_of(settings: Settings) -> dict[str, Any]:
    """What decides on the numbers, without this machine's folders."""
    return {
        "content": settings.content.name,
        "style": settings.style.name,
        "photograph": settings.photograph.name,
        "size": settings.size,
        "weights": Path(settings.weights).name,
        "quick": settings.quick,
        "broken": settings.broken,
    }


def earlier(experiment: Experiment, settings: Settings, folder: Path) -> Record | None:
    """The record of the same experiment with the same settings, if there is one."""
    record = read(folder).get(experiment.name)
    if record is None or record.get("settings") != settings_of(settings):
        return None
    return _written(folder, judged(experiment, record))


def read_judged(
    folder: Path, experiments: Mapping[str, Experiment]
) -> dict[str, Record]:
    """All records in a folder, judged by the laws as they are now, and kept so."""
    return {
        name: _written(folder, judged(experiments[name], record))
        for name, record in read(folder).items()
    }


def read(folder: Path) -> dict[str, Record]:
    """All records in a folder by name."""
    records = (json.loads(path.read_text()) for path in sorted(folder.glob("*.json")))
    return {record["name"]: record for record in records}


def _written(folder: Path, record: Record) -> Record:
    path = folder / f"{record['name']}.json"
    write_text(path, json.dumps(record, indent=1) + "\n")
    return record


def _save(folder: Path, name: str, figure: Image) -> str:
    path = folder / f"{name}.jpg"
    figure.save(path, quality=QUALITY, optimize=True)
    return path.name


def _rounded(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, float):
        return value
    return float(f"{value:.{DIGITS}g}")
