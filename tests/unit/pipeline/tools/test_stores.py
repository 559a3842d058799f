import pytest

from scicat_retriever.domain.errors import StoreNotConfigured
from scicat_retriever.pipeline.tools.stores import Stores
from tests.fakes.long_term_store import InMemoryLongTermStore

TAPE, VAULT = InMemoryLongTermStore(), InMemoryLongTermStore()
STORES = {"lts": TAPE, "vault": VAULT}


@pytest.mark.parametrize(("location", "store"), [(None, "lts"), ("vault-1", "vault"), ("elsewhere", "lts")])
def test_a_dataset_is_in_the_store_that_names_its_location_and_else_in_the_default_one(
    location: str | None, store: str
) -> None:
    assert Stores(STORES, {"vault-1": "vault"}).of_location(location) == store


def test_a_location_that_nobody_names_is_refused_where_the_default_store_names_its_own() -> None:
    stores = Stores(STORES, {"tape-1": "lts"}, only_named=True)
    assert (stores.of_location("tape-1"), stores.of_location(None)) == ("lts", "lts")
    with pytest.raises(StoreNotConfigured, match=r"'elsewhere'.*locations"):
        stores.of_location("elsewhere")


def test_a_store_is_given_by_its_name() -> None:
    assert Stores(STORES).named("vault") is VAULT
    with pytest.raises(StoreNotConfigured, match="'gone'"):
        Stores(STORES).named("gone")
