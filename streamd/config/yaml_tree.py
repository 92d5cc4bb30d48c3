"""YAML text as a tree whose every node knows where it stands.

The tree is built from the parser's events. Composing nodes in the C parser recurses in C: a file
of a hundred thousand brackets would end the process. Here depth and aliases are bounded.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from streamd.config.yaml_errors import YamlFault, explain

MAX_DEPTH = 32
MAX_ALIASED = 200_000  # nodes that aliases may repeat, all together

# libyaml, of which PyYAML's wheels have 0.2.5, or twenty times slower the same in Python. Not that
# of ruamel.yaml.clib, a libyaml of 2016: it refuses `{url: rtmp://host/app}`, which is YAML 1.2.
_LOADER = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader

CORE = "tag:yaml.org,2002:"


@dataclass(slots=True, eq=False)
class Scalar:
    """Text as written, without its quotes. `plain` has none, so that `1` may be a number."""

    offset: int
    text: str
    plain: bool
    tag: str | None = None


@dataclass(slots=True, eq=False)
class Sequence:
    """A list. `weight` counts nodes and `height` levels, both with aliases followed."""

    offset: int
    block: bool
    tag: str | None = None
    items: list["Node"] = field(default_factory=list)
    weight: int = 1
    height: int = 0  # 0 while it is open


@dataclass(slots=True, eq=False)
class Mapping:
    """Names and values in the order of the file, duplicates and `<<` among them."""

    offset: int
    block: bool
    tag: str | None = None
    pairs: list[tuple[Scalar, "Node"]] = field(default_factory=list)
    weight: int = 1
    height: int = 0
    key: Scalar | None = None  # the name whose value comes next while it is open
    named: dict[str, tuple[Scalar, "Node"]] | None = None

    def index(self) -> dict[str, tuple[Scalar, "Node"]]:
        """Return each name with its node and its value, the first where one is there twice.

        What `<<` brings in comes after the mapping's own.
        """
        if self.named is None:
            self.named = {}
            merged = []
            for key, child in self.pairs:
                if key.text == "<<" and key.plain:
                    merged.append(child)
                else:
                    self.named.setdefault(key.text, (key, child))
            for child in merged:
                for source in child.items if isinstance(child, Sequence) else [child]:
                    if isinstance(source, Mapping):
                        self.named = source.index() | self.named
        return self.named


Node = Scalar | Sequence | Mapping


def parse(text: str) -> Node | None:
    """Read the one document that a text holds; None when it holds none.

    Anchored nodes stand in the tree at each of their aliases.

    Raises:
        YamlFault: the text is not YAML, or is more than one document, or nests too deep.
    """
    tree = _Tree()
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            take = _TAKES.get(type(event))
            if take is not None:
                take(tree, event)
    except yaml.YAMLError as error:
        raise explain(error, text, tree.open_bracket()) from error
    return tree.root


class _Tree:
    """The tree while it grows."""

    def __init__(self) -> None:
        self.root: Node | None = None
        self.documents = 0
        self.open: list[Sequence | Mapping] = []
        self.anchors: dict[str, Node] = {}
        self.aliased = 0

    def open_bracket(self) -> int | None:
        """Return the place of the innermost `[` or `{` that is not closed yet."""
        if self.open and not self.open[-1].block:
            return self.open[-1].offset
        return None

    def start_document(self, event: DocumentStartEvent) -> None:
        self.documents += 1
        if self.documents > 1:
            raise YamlFault(
                event.start_mark.index,
                "a second document begins here; keep one document in a file, and split a long "
                "one with `include`",
            )

    def scalar(self, event: ScalarEvent) -> None:
        node = Scalar(event.start_mark.index, event.value, event.implicit[0], event.tag)
        if event.anchor is not None:
            self.anchors[event.anchor] = node
        self.place(node, node.offset)

    def start_sequence(self, event: SequenceStartEvent) -> None:
        self.start(Sequence(event.start_mark.index, not event.flow_style, event.tag), event.anchor)

    def start_mapping(self, event: MappingStartEvent) -> None:
        self.start(Mapping(event.start_mark.index, not event.flow_style, event.tag), event.anchor)

    def start(self, node: Sequence | Mapping, anchor: str | None) -> None:
        if len(self.open) >= MAX_DEPTH:
            raise YamlFault(node.offset, f"nests deeper than {MAX_DEPTH} levels; make it flatter")
        if anchor is not None:
            self.anchors[anchor] = node
        self.place(node, node.offset)
        self.open.append(node)

    def end(self, _: MappingEndEvent | SequenceEndEvent) -> None:
        node = self.open.pop()
        height = 0
        children = node.items if isinstance(node, Sequence) else [value for _, value in node.pairs]
        for child in children:
            if isinstance(child, Scalar):
                node.weight += 1
            else:
                node.weight += child.weight
                height = max(height, child.height)
        node.height = height + 1

    def alias(self, event: AliasEvent) -> None:
        offset = event.start_mark.index
        node = self.anchors.get(event.anchor)
        if node is None:
            raise YamlFault(
                offset,
                f"`*{event.anchor}` has no anchor before it; mark the value to repeat with "
                f"`&{event.anchor}`, or quote text that begins with `*`",
            )
        if not isinstance(node, Scalar):
            if node.height == 0:
                raise YamlFault(offset, f"`*{event.anchor}` would contain itself; remove it")
            if len(self.open) + node.height > MAX_DEPTH:
                raise YamlFault(offset, f"nests deeper than {MAX_DEPTH} levels; make it flatter")
            self.aliased += node.weight
            if self.aliased > MAX_ALIASED:
                raise YamlFault(offset, "the aliases of this file repeat too much; use fewer")
        self.place(node, offset)

    def place(self, node: Node, offset: int) -> None:
        """Put a node where it belongs: into what is open, as a name or as a value."""
        if not self.open:
            self.root = node
            return
        parent = self.open[-1]
        if isinstance(parent, Sequence):
            parent.items.append(node)
        elif parent.key is not None:
            parent.pairs.append((parent.key, node))
            parent.key = None
        elif isinstance(node, Scalar):
            parent.key = node
        else:
            raise YamlFault(offset, "a list or mapping cannot be a name; write `name: value`")


_TAKES: dict[type, Callable[[_Tree, Any], None]] = {
    DocumentStartEvent: _Tree.start_document,
    ScalarEvent: _Tree.scalar,
    SequenceStartEvent: _Tree.start_sequence,
    SequenceEndEvent: _Tree.end,
    MappingStartEvent: _Tree.start_mapping,
    MappingEndEvent: _Tree.end,
    AliasEvent: _Tree.alias,
}
