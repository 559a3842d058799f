"""SciCat Retriever: brings catalogued datasets back from long-term storage, verified byte for byte."""
