"""SciCat Retriever: brings catalogued datasets back from long-term storage, verified byte for byte."""

from importlib.metadata import version

__version__ = version("scicat-retriever")
