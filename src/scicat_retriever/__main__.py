"""`python -m scicat_retriever` is `retriever`."""

from scicat_retriever.cli import main

if __name__ == "__main__":
    main()
