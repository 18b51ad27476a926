"""Only what pyproject.toml cannot say: the cffi module and its stable-ABI tag."""

from setuptools import setup

setup(
    cffi_modules=["cffi_build/build.py:ffibuilder"],
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
