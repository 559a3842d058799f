"""`python -m scicat_retriever` is `retriever`."""

from scicat_retriever.cli.main import main

if __name__ == "__main__":
    main()
