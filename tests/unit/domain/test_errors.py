import re

from scicat_retriever.domain import errors
from scicat_retriever.domain.errors import Actor, Cause, RetrieverError, concrete_errors


def test_each_error_has_a_code_of_its_own() -> None:
    codes = [error.code for error in concrete_errors()]
    assert len(codes) == len(set(codes))
    assert all(re.fullmatch(r"[a-z][a-z_]+", code) for code in codes)


def test_the_tree_in_the_docstring_names_each_error_class_and_no_other() -> None:
    drawn = set(re.findall(r"\b[A-Z][A-Za-z]+\b", (errors.__doc__ or "").split("\n", 2)[2]))
    defined = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, RetrieverError)
    }
    assert defined - drawn == set()
    assert drawn - defined <= {"SciCat"}


def test_a_failure_is_small_however_long_the_message() -> None:
    message = errors.MemberMissing("a" * 1_500_000).failure().message
    assert message == "a" * 999 + "…"


def test_a_failure_says_what_happened_and_who_acts() -> None:
    failure = errors.MemberMissing("a/b.dat is not in the archive").failure("tar-1")
    assert (failure.code, failure.who, failure.cause) == ("member_missing", Actor.OPERATOR, Cause.DATA)
    assert failure.archive_id == "tar-1"
