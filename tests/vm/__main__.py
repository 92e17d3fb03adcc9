"""`python -m tests.vm`: the images of this tier, made in advance where the cache has none, so that no test waits for them."""

from __future__ import annotations

import sys

from tests.vm.bed import VmBed
from tests.vm.commands import VmError
from tests.vm.recipe import VARIANTS


def main() -> int:
    """Every image that a test of the whole tier starts from. Exit code 1 where one cannot be made."""
    try:
        with VmBed() as bed:
            for variant in VARIANTS:
                print(f"vm image {variant or 'plain'}: {bed.base_image(variant).folder.name}", flush=True)
    except VmError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
