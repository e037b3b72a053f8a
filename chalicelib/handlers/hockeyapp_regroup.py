"""Merge and split of groups by a person, in HockeyApp's style: ours, the document has none."""

from __future__ import annotations

from typing import Any

from chalice.app import Blueprint, Request, Response

from chalicelib import clock, hockeyapp_json
from chalicelib.access import Scope
from chalicelib.errors import InvalidRequest
from chalicelib.group_decisions import GroupDecisions, StackInGroup
from chalicelib.handlers import hockeyapp_shape as shape
from chalicelib.handlers.common import ANY_TYPE, Incoming, incoming, json_answer, services
from chalicelib.handlers.hockeyapp_access import authorised
from chalicelib.handlers.hockeyapp_errors import hockeyapp_errors
from chalicelib.records import Merge, Split

routes = Blueprint(__name__)

_GROUP = "/api/2/apps/{app_id}/crash_reasons/{group_id}"


@routes.route(f"{_GROUP}/merge", methods=["POST"], content_types=ANY_TYPE, cors=True)
@hockeyapp_errors
def merge_group(app_id: str, group_id: str) -> Response:
    """Merge the group into the one whose id is `into`, which is answered."""
    request = _authorised(app_id, "write")
    asked = (request.parameter("into") or "").strip()
    if not asked:
        raise InvalidRequest({"into": ["is required: the id of a crash reason"]})
    into = shape.identifier(asked)
    _decisions(app_id).merge(shape.identifier(group_id), into)
    return _group(app_id, into)


@routes.route(f"{_GROUP}/merge", methods=["DELETE"], content_types=ANY_TYPE, cors=True)
@hockeyapp_errors
def undo_merge(app_id: str, group_id: str) -> Response:
    """The merged group is one of its own again."""
    _authorised(app_id, "write")
    identifier = shape.identifier(group_id)
    _decisions(app_id).undo_merge(identifier)
    return _group(app_id, identifier)


@routes.route(f"{_GROUP}/split", methods=["POST"], content_types=ANY_TYPE, cors=True)
@hockeyapp_errors
def split_group(app_id: str, group_id: str) -> Response:
    """Take the stack whose fingerprint is `stack` out of the group; its own group is answered."""
    request = _authorised(app_id, "write")
    stack = (request.parameter("stack") or "").strip()
    if not stack:
        raise InvalidRequest({"stack": ["is required: the fingerprint of one of its stacks"]})
    made = _decisions(app_id).split(shape.identifier(group_id), stack)
    return _group(app_id, made, 201)


@routes.route(f"{_GROUP}/split", methods=["DELETE"], content_types=ANY_TYPE, cors=True)
@hockeyapp_errors
def undo_split(app_id: str, group_id: str) -> Response:
    """Put the stack back whose own group that is; the group that has it now is answered."""
    _authorised(app_id, "write")
    identifier = shape.identifier(group_id)
    _decisions(app_id).undo_split(identifier)
    return _group(app_id, identifier)


@routes.route(f"{_GROUP}/stacks", methods=["GET"], content_types=ANY_TYPE, cors=True)
@hockeyapp_errors
def list_stacks(app_id: str, group_id: str) -> Response:
    """The stacks of a group, those with the most crashes first."""
    _authorised(app_id, "read")
    found = _decisions(app_id).stacks(shape.identifier(group_id))
    return json_answer({"stacks": [_stack(entry) for entry in found], "status": "success"})


@routes.route(f"{_GROUP}/merges", methods=["GET"], content_types=ANY_TYPE, cors=True)
@hockeyapp_errors
def list_merges(app_id: str, group_id: str) -> Response:
    """What was merged into a group, and what was split off, the latest first."""
    _authorised(app_id, "read")
    merges, splits = _decisions(app_id).of_group(shape.identifier(group_id))
    told = {"merges": [_merge(e) for e in merges], "splits": [_split(e) for e in splits]}
    return json_answer({**told, "status": "success"})


# --- helpers -------------------------------------------------------------


def _authorised(app_id: str, scope: Scope) -> Incoming:
    current = routes.current_request
    assert isinstance(current, Request)
    return authorised(incoming(current), app_id, scope)[0]


def _decisions(app_id: str) -> GroupDecisions:
    return GroupDecisions(services(), app_id)


def _group(app_id: str, group_id: int, status: int = 200) -> Response:
    group = services().groups.group(app_id, group_id)
    return json_answer({"crash_reason": hockeyapp_json.group(group), "status": "success"}, status)


def _stack(entry: StackInGroup) -> dict[str, Any]:
    return {
        "stack": entry.fingerprint,
        "number_of_crashes": entry.total,
        "created_at": clock.stored_to_wire(entry.first_at),
        "last_crash_at": clock.stored_to_wire(entry.last_at),
        "functions": list(entry.functions),
    }


def _merge(entry: Merge) -> dict[str, Any]:
    return {"id": entry.group_id, "into": entry.into, "at": clock.stored_to_wire(entry.at)}


def _split(entry: Split) -> dict[str, Any]:
    return {
        "id": entry.group_id,
        "from": entry.source,
        "stack": entry.stack,
        "at": clock.stored_to_wire(entry.at),
    }
