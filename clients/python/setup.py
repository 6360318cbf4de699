"""Generates the stubs from the repository's Protos/ while the package is built."""
import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

sys.path.insert(0, str(Path(__file__).resolve().parent))
import generate  # noqa: E402  (found through the line above)


class BuildWithStubs(build_py):
    def run(self):
        generate.main()
        # The packages were counted before the stubs existed.
        if "kyrodb_v2._proto" not in self.packages:
            self.packages.append("kyrodb_v2._proto")
        super().run()


setup(cmdclass={"build_py": BuildWithStubs})
