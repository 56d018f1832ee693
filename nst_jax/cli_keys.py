"""Flags and keys as the command line names and explains them."""

# Flags people expect, and the keys they stand for.
FLAGS = {
    "content": ("content", "FILE", "content picture"),
    "style": ("style", "FILE", "style picture; several are blended"),
    "style-scale": ("style_scale", "N", "size of the style, times the content's (1)"),
    "out": ("output.dir", "PATH", "run folder; or a picture such as night.jpg"),
    "size": ("size", "PIXELS", "longer side of the result (512)"),
    "iterations": ("solver.iterations", "N", "steps of the solver (500)"),
    "minutes": ("solver.minutes", "N", "end the run after so many minutes"),
    "seed": ("seed", "N", "seed of the noise (0)"),
    "start": ("start", "START", "noise, content, style, or a picture file"),
    "preset": ("objective.preset", "NAME", "recipe; see `nst-jax presets`"),
    "weights": ("network.weights", "WEIGHTS", "auto, a name, a file, or random"),
    "match-colours": (
        "colours.match",
        "HOW",
        "style in the content's colours: pca, chol, ot",
    ),
    "device": ("device", "DEVICE", "cpu, gpu, tpu, gpu:1; the best there is"),
}
# Flags without a value: the keys they stand for, and what they set.
SWITCHES = {
    "preserve-colours": ("colours.preserve", "luminance", "keep the content's colours"),
}

KEYS = """\
keys for KEY=VALUE and YAML files (defaults in brackets; "preset" means that the
preset decides):
  content, style               pictures: JPEG, PNG, TIFF, WebP
  styles                       several, blended: [{picture: a.jpg, weight: 2, scale: 1,
                               layers: [conv1_1]}, b.jpg]
  style_scale [1]              size of the styles, times the content's
  regions.content              which part is of which region: a PNG with a colour for
                               each, [sky.png, sea.png] (white inside), or alpha
  regions.style                the same for the style; none: all of it for each region;
  regions.styles               of several styles: [a.png, null]; or say in styles:
                               {picture: a.jpg, regions: [red]}
  regions.mode [simple]        simple, inside (only what sees nothing else) or all
  regions.weights              {red: 2}; else 1 each
  regions.keep                 [blue]: stays as it is
  texture                      [640, 480]: width and height, instead of a content
  tileable [false]             opposite edges of the result fit together
  size [512]                   longer side of the result in pixels
  scales [none]                from coarse to fine: auto (each half the next), sqrt2, or
                               [128, 256, 512]
  seed [0]                     seed of the noise
  start [preset]               noise, content, style, or a picture file
  device [best]                cpu, gpu, tpu, gpu:1
  compile_cache [true]         keep compiled programs for the next run
  network.name [weights]       vgg16 or vgg19
  network.weights [auto]       auto (the real VGG-19 if it is here, else vgg19-tiny),
                               vgg19-tiny (included), vgg19-8bit, vgg19, vgg16,
                               vgg19-caffe (fetched once), a file (.h5, .pth,
                               .safetensors, .whl), or random
  network.pooling [preset]     avg or max
  network.padding [zeros]      zeros or reflect
  network.rescale [preset]     true or false: unit mean activation
  objective.preset [gatys2016] see `nst-jax presets`
  objective.alpha [preset]     weight of the content; more keeps more of the picture
  objective.beta [preset]      weight of the style
  objective.tv [preset]        weight of the total variation; more is smoother
  objective.content_layers     [conv4_2], or {conv4_2: 0.5, conv5_1: 0.5}
  objective.style_layers       [conv1_1, conv2_1], averaged; or {conv1_1: 2, ...}
  objective.style_loss [preset]  what is meant by style: gram, wasserstein, ...; see
                               docs/controls.md
  objective.layer_weights      equal, geometric, crowson, per-channel: of style layers
  solver.name [lbfgs]          lbfgs or adam
  solver.iterations [500]      steps; one evaluation each
  solver.history [40]          correction pairs of L-BFGS
  solver.preconditioned [true] large forms first; false: plain L-BFGS on the pixels
  solver.learning_rate [0.05]  of adam
  solver.precision [default]   default (TF32 on GPUs), float32, or bfloat16
  solver.scale_iterations      steps at each scale, as [100, 100, 50]; else each makes
                               solver.iterations
  solver.tolerance [none]      end when the loss fell by less than this share of itself
                               (1e-3, say) within
  solver.window [50]           so many iterations
  solver.minutes [none]        end after so many minutes; those before --resume count
  solver.memory [auto]         auto, fast, or low (takes longer)
  solver.checkpoint_seconds [60]  between checkpoints, from which --resume goes on;
                               0: none
  solver.average [none]        of adam: decay of a mean of the pictures on the way, as
                               0.99, which is then the result
  solver.box [after]           pixels are brought into [0, 1] after the run, or during
                               it
  colours.match [none]         pca, chol or ot: one picture's mean and covariance of
                               colours given to another
  colours.when [before]        before: to the style those of the content; after: to the
                               result
  colours.strength [1]         of match, 0 to 1
  colours.preserve [none]      luminance: light and dark are stylised, colours stay
  photorealism.weight [0]      of the matting Laplacian, which keeps the content's edges
                               straight: 100 to 10000; 0: none of this
  photorealism.stages [2]      2: it is added after a plain run; 1: there from the start
  photorealism.stage_iterations  of the second stage; else as many as the last scale
  photorealism.smooth_radius [7]  local smoothing of the result along the content's
                               edges, in pixels; 0: none
  photorealism.smooth_edge [0.05]  what differs by less in the content is no edge
  output.dir [runs/NUMBER]     run folder
  output.every [none]          a snapshot every so many iterations, besides those at
                               100, 200, 300 and 500
  output.bits [8]              8, or 16 in PNG and TIFF
  output.profile [srgb]        srgb, or content: its colour profile is kept

example:
  nst-jax stylize --content town.jpg --style night.jpg objective.alpha=1e-2
"""
