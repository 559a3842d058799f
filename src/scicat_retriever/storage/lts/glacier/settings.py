"""How to reach a bucket of archived objects, and how they are restored.

They stand apart from the code, which takes long to import.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from scicat_retriever.storage.lts.paths.settings import AbsolutePath, TemplateText
from scicat_retriever.storage.lts.store_kind import StoreKeys
from scicat_retriever.storage.s3.access import S3Access

Tier = Literal["Expedited", "Standard", "Bulk"]
"""How fast an object is restored: https://docs.aws.amazon.com/AmazonS3/latest/API/API_GlacierJobParameters.html."""

_DAY_SECONDS = 86_400


class S3GlacierSettings(S3Access, StoreKeys):
    """A bucket of an S3 whose objects are archived: in S3 Glacier, or on the tapes behind an S3."""

    kind: Literal["s3_glacier"] = Field(description="A bucket whose objects are archived and restored.")
    key_template: TemplateText = Field(
        "{archive_id}",
        description="Key of an archive, from its archiveId. Slices are allowed: `{archive_id[0:2]}/{archive_id}.tar`.",
    )
    catalogued_root: AbsolutePath | None = Field(
        None,
        description="What absolute archiveIds begin with; it is left out before the key is made. Without it they are "
        "refused.",
    )
    days: PositiveInt = Field(
        3,
        le=3650,
        description="How many days a restored copy is kept, before only the archived object is left.",
    )
    extend_before: NonNegativeFloat = Field(
        43_200.0,
        description="A restored copy that expires sooner than this is restored for `days` again before it is read. At "
        "least what reading an archive takes, and less than `days`.",
    )
    tier: Tier = Field(
        "Standard", description="How fast archives are restored: `Expedited`, `Standard` or `Bulk`."
    )
    tier_by_size: dict[Tier, PositiveInt] = Field(
        {},
        description="Other tiers for archives of at least so many bytes, such as `{ Bulk = 500_000_000_000 }`.",
    )
    fallback_tier: Literal["Standard", "Bulk"] = Field(
        "Standard",
        description="The tier where `Expedited` has no capacity left, and for Deep Archive, which does not have it.",
    )
    archive_classes: tuple[str, ...] = Field(
        ("GLACIER", "DEEP_ARCHIVE"),
        description="Storage classes whose objects have to be restored; an S3 other than AWS may have its own.",
    )
    use_restore_status: Literal["auto", "always", "never"] = Field(
        "auto",
        description="Whether where archives are is asked by listing keys (RestoreStatus of ListObjectsV2): `auto` where "
        "the S3 is seen to tell; otherwise it is asked for one by one.",
    )
    parallel_requests: int = Field(
        16, ge=1, le=64, description="Requests sent at once, beside those that read."
    )
    answer_timeout: PositiveFloat = Field(
        60.0, description="How long the S3 may take to say where a batch of archives is."
    )

    @model_validator(mode="after")
    def _extends_for_longer(self) -> Self:
        if self.extend_before >= self.days * _DAY_SECONDS:
            raise ValueError(
                "`extend_before` must be less than `days`, or no restored copy would last long enough"
            )
        return self

    def tier_for(self, size: int) -> Tier:
        """Give the tier for an archive of so many bytes."""
        reached = [(least, tier) for tier, least in self.tier_by_size.items() if size >= least]
        return max(reached, key=lambda each: each[0])[1] if reached else self.tier
