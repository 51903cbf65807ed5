"""Which packages are needed: a list, and all that it depends on."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from .contents import DROP, EXTRA, SWAP
from .control import Package, Relation, clauses
from .progress import Failure

Index = dict[str, Package]


@dataclass
class Chosen:
    """A package that is part of the distribution, and what it requires."""

    package: Package
    requires: list[Relation] = field(default_factory=list)


def closure(index: Index, wanted: Iterable[str]) -> list[Chosen]:
    """The wanted packages and their dependencies, sorted by name."""
    providers = _providers(index)
    chosen: dict[str, Chosen] = {}
    queue = list(wanted)
    while queue:
        name = queue.pop()
        if name in chosen or name in DROP:
            continue
        if name not in index:
            raise Failure(f"The suite has no package {name}")
        requires = _requires(index, providers, index[name])
        chosen[name] = Chosen(index[name], requires)
        queue += [relation.name for relation in requires]
    return [chosen[name] for name in sorted(chosen)]


def _providers(index: Index) -> dict[str, list[str]]:
    providers: dict[str, list[str]] = {}
    for package in index.values():
        for alternatives in clauses(package.provides):
            providers.setdefault(alternatives[0].name, []).append(package.name)
    return providers


def _requires(index: Index, providers: dict[str, list[str]], package: Package) -> list[Relation]:
    requires = [Relation(name) for name in EXTRA.get(package.name, [])]
    for alternatives in clauses(package.depends):
        # A clause that a dropped package would satisfy is dropped with it.
        if any(relation.name in DROP for relation in alternatives):
            continue
        candidates = (_resolve(index, providers, package, each) for each in alternatives)
        if relation := next(filter(None, candidates), None):
            requires.append(relation)
    return requires


def _resolve(
    index: Index, providers: dict[str, list[str]], package: Package, relation: Relation
) -> Relation | None:
    """The real package behind a relation, or nothing when the suite has none that we take."""
    name = SWAP.get((package.name, relation.name), relation.name)
    if name in index:
        return Relation(name, relation.operator, relation.version)
    provider = min(providers.get(name, []), default=None)
    # What a virtual package is required with is the virtual one's version, not the provider's.
    return Relation(provider) if provider and provider not in DROP else None
