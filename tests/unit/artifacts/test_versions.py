"""A kind's older files stay readable, its newer ones are refused by name, and what says nothing new keeps its bytes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from processor import jcs
from processor.artifacts.canonical import Fields
from processor.artifacts.versions import Kind, Older
from processor.errors import ArtifactError, ArtifactTooLarge, NewerVersion


@dataclass(frozen=True)
class Recipe2(Fields):
    """The oldest that is read: one spice, in grams."""

    spice: str
    grams: Annotated[int, Field(ge=0, le=9)]


@dataclass(frozen=True)
class Recipe3(Fields):
    """Several spices."""

    spices: dict[str, int]


@dataclass(frozen=True)
class Recipe(Fields):
    """Version 4: with a note."""

    spices: dict[str, int]
    note: str | None


def several(recipe: Recipe2) -> Recipe3:
    return Recipe3({recipe.spice: recipe.grams})


def single(recipe: Recipe3) -> Recipe2 | None:
    if len(recipe.spices) != 1 or not all(0 <= grams <= 9 for grams in recipe.spices.values()):
        return None
    ((spice, grams),) = recipe.spices.items()
    return Recipe2(spice, grams)


def unnoted(recipe: Recipe) -> Recipe3 | None:
    return None if recipe.note is not None else Recipe3(recipe.spices)


RECIPE = Kind(
    "recipe",
    200,
    Recipe,
    version=4,
    older=(
        Older(Recipe2, up=several, down=single),
        Older(Recipe3, up=lambda recipe: Recipe(recipe.spices, None), down=unnoted),
    ),
)
UNTAGGED = Kind("memory", 200, Recipe2, implied=frozenset({"kind", "version"}))

recipes = st.builds(
    Recipe, st.dictionaries(st.text("abc", max_size=3), st.integers(-9, 99), max_size=3), st.none() | st.text("abc")
)


@given(recipes)
def test_whatever_version_a_value_is_written_in_it_is_read_as_it_was(recipe: Recipe) -> None:
    assert RECIPE.decode(RECIPE.encode(recipe)) == recipe


@given(recipes, st.integers(2, 4))
def test_a_value_has_one_spelling_that_is_read(recipe: Recipe, version: int) -> None:
    written = RECIPE.tagged(recipe)
    other = {2: Recipe2, 3: Recipe3, 4: Recipe}[version]
    if version <= written["version"]:
        return
    fields = {"spices": recipe.spices} | ({"note": recipe.note} if other is Recipe else {})
    with pytest.raises(ArtifactError, match=f"version {version}, and version {written['version']} holds what it says"):
        RECIPE.value_of({"kind": "recipe", "version": version, **fields})


@pytest.mark.parametrize(
    ("recipe", "written"),
    [
        (Recipe({"salt": 3}, None), {"kind": "recipe", "version": 2, "spice": "salt", "grams": 3}),
        (Recipe({"salt": 10}, None), {"kind": "recipe", "version": 3, "spices": {"salt": 10}}),
        (Recipe({}, None), {"kind": "recipe", "version": 3, "spices": {}}),
        (Recipe({"salt": 3}, "hot"), {"kind": "recipe", "version": 4, "spices": {"salt": 3}, "note": "hot"}),
    ],
)
def test_a_value_is_written_in_the_lowest_version_that_holds_it(recipe: Recipe, written: dict[str, object]) -> None:
    assert json.loads(RECIPE.encode(recipe)) == written


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ([], "this is no recipe: expected a JSON object"),
        ({"version": 2}, "this is no recipe: its kind is None"),
        ({"kind": "soup", "version": 2}, "this is no recipe: its kind is 'soup'"),
        ({"kind": "recipe"}, "this recipe has version None: expected a whole number from 1"),
        ({"kind": "recipe", "version": True}, "this recipe has version True: expected a whole number from 1"),
        ({"kind": "recipe", "version": 0}, "this recipe has version 0: expected a whole number from 1"),
        ({"kind": "recipe", "version": 1}, "this recipe has version 1, of contracts before those that this program"),
        ({"kind": "recipe", "version": 2, "spices": {}}, "spices: is unknown"),
        ({"kind": "recipe", "version": 3, "spice": "salt", "grams": 1}, "spices: is missing"),
        ({"kind": "recipe", "version": 3, "spices": {}, "note": None}, "note: is unknown"),
        ({"kind": "recipe", "version": 2, "spice": "salt", "grams": 10}, "grams: should be less than or equal to 9"),
    ],
)
def test_what_no_version_allows_is_refused_in_words(document: object, reason: str) -> None:
    with pytest.raises(ArtifactError) as refusal:
        RECIPE.value_of(document)
    assert reason in str(refusal.value)
    assert not isinstance(refusal.value, NewerVersion)


def test_a_newer_version_is_refused_by_name_whatever_it_holds() -> None:
    with pytest.raises(NewerVersion, match="this recipe has version 5, this program reads up to 4: update Koinon"):
        RECIPE.value_of({"kind": "recipe", "version": 5, "broth": 1})


def test_a_value_that_could_not_be_read_back_is_not_written() -> None:
    with pytest.raises(ArtifactTooLarge, match="a recipe of .* bytes is over the limit of 200"):
        RECIPE.encode(Recipe({}, "x" * 200))


def test_where_its_place_says_the_kind_a_file_without_a_version_is_of_the_first() -> None:
    assert UNTAGGED.encode(Recipe2("salt", 3)) == b'{"grams":3,"spice":"salt"}'
    assert UNTAGGED.decode(b'{"grams":3,"spice":"salt"}') == Recipe2("salt", 3)
    with pytest.raises(NewerVersion, match="this memory has version 2, this program reads up to 1"):
        UNTAGGED.decode(jcs.dumps({"version": 2}))
    with pytest.raises(ArtifactError, match="version: is unknown"):
        UNTAGGED.decode(b'{"grams":3,"spice":"salt","version":1}')
