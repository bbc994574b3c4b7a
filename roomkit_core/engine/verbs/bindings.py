"""Verbs that change who takes part in a room: attach, detach, mute, access, visibility, metadata.

Each leaves a bookkeeping event in the timeline that says what happened. Inside a hook of the room it joins the hook's
unit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from roomkit_core.engine.flow.runners import Runners
from roomkit_core.engine.pure.permissions import receives, takes_writes
from roomkit_core.engine.state.ports import Ports
from roomkit_core.engine.state.unit_of_work import Entry, Unit, own_unit
from roomkit_core.engine.steps.bookkeeping import about_channel, announce, attached, attachment, note
from roomkit_core.engine.steps.join_room import TOMBSTONES
from roomkit_core.engine.steps.passage import begin_reading
from roomkit_core.engine.verbs.tenures import change_room
from roomkit_core.errors import (
    ChannelNotFoundError,
    ChannelNotRegisteredError,
    ConversationTakenError,
    RoomNotFoundError,
)
from roomkit_core.hooks.node import current
from roomkit_core.models.base import FrozenDict, FrozenList, evolve
from roomkit_core.models.changes import Withdrawal
from roomkit_core.models.channel import ChannelBinding, Route
from roomkit_core.models.enums import Access, ChannelCategory
from roomkit_core.models.kinds import ChannelType, EventType
from roomkit_core.models.triggers import HookTrigger
from roomkit_core.models.work import WorkKind, WorkState

NO_ACCESS = "channel.access"


class Bindings:
    """The verbs about bindings.

    Args:
        ports: The surroundings.
        runners: Take what a commit owes.
    """

    def __init__(self, ports: Ports, runners: Runners) -> None:
        self._ports = ports
        self._runners = runners

    # --- reads ---

    async def list(self, room_id: str) -> list[ChannelBinding]:
        """The room's bindings, in the order of attachment."""
        await begin_reading(self._ports)
        own = own_unit(self._ports, room_id) if current.get() is not None else None
        if own is not None:
            return list(own[1].bindings.values())
        snapshot = await self._ports.store.load_room(room_id)
        if snapshot is None:
            raise RoomNotFoundError(f"room {room_id!r} does not exist")
        return list(snapshot.bindings.values())

    async def get(self, room_id: str, channel_id: str) -> ChannelBinding:
        """One binding."""
        for binding in await self.list(room_id):
            if binding.channel_id == channel_id:
                return binding
        raise _not_attached(room_id, channel_id)

    # --- attach and detach ---

    async def attach(
        self,
        room_id: str,
        channel_id: str,
        category: ChannelCategory,
        access: Access,
        visibility: str,
        takeover: bool,
        fields: dict[str, Any],
    ) -> ChannelBinding:
        """Attach a channel; a second time replaces the binding."""
        target = self._ports.channels.get(channel_id)
        if target is None:
            raise ChannelNotRegisteredError(f"no channel {channel_id!r} is registered")
        channel = target.channel
        values = {"direction": channel.direction, "capabilities": channel.capabilities(), **_with_route(fields)}
        template = ChannelBinding(
            channel_id=channel_id,
            room_id=room_id,
            channel_type=channel.channel_type,
            category=category,
            access=access,
            visibility=visibility,
            **values,
        )

        async def write(unit: Unit) -> None:
            binding = evolve(template, attached_index=unit.state.next_index + unit.draft.taken)
            await self._claim(unit, binding, takeover)
            before = unit.bindings.get(channel_id)
            if before is not None and receives(before) and not receives(binding):
                _end_deliveries(unit, channel_id)
            _put(unit, binding)
            _forget_tombstone(unit, channel_id)
            announce(unit, attached(note(unit, *attachment(binding)), binding))

        unit = await change_room(self._ports, self._runners, room_id, write)
        return unit.bindings[channel_id]

    async def _claim(self, unit: Unit, binding: ChannelBinding, takeover: bool) -> None:
        """Take the conversations that the binding's routes lead to."""
        if not takes_writes(unit.status):  # a closed room would only keep them from a new one
            return
        for route in binding.routes.values():
            conversation = (binding.channel_id, route.thread or route.address)
            holder = await self._ports.store.find_conversation(conversation)
            if holder == unit.room_id or conversation in unit.draft.claims:
                continue
            if holder is not None and not takeover:
                raise ConversationTakenError(
                    f"conversation {conversation[1]!r} on channel {binding.channel_id!r} belongs to room {holder!r}",
                    room_id=holder,
                )
            unit.change(claims=(*unit.draft.claims, conversation))
            if takeover:
                unit.change(takeover=unit.draft.takeover | {conversation})

    async def detach(self, room_id: str, channel_id: str) -> bool:
        """Detach a channel: what is owed to it in this room ends, its conversations are free."""
        found = False

        async def write(unit: Unit) -> None:
            nonlocal found
            binding = unit.bindings.get(channel_id)
            found = binding is not None
            if binding is None:
                unit.refusal = "channel.not_attached"
                return
            bindings = {key: value for key, value in unit.bindings.items() if key != channel_id}
            unit.change(
                bindings=bindings,
                releases=(*unit.draft.releases, channel_id),
                claims=tuple(claim for claim in unit.draft.claims if claim[0] != channel_id),
                withdrawals=(*unit.draft.withdrawals, Withdrawal("channel.detached", channel_id=channel_id)),
            )
            _suppress_planned(unit, channel_id, "channel.detached")
            _bury(unit, channel_id)
            event = note(
                unit,
                EventType.CHANNEL_DETACHED,
                "channel_detached",
                f"{channel_id} left",
                {"channel_id": channel_id},
            )
            about = about_channel("room_channel_detached", event, binding, HookTrigger.ON_CHANNEL_DETACHED)
            announce(unit, about)

        await change_room(self._ports, self._runners, room_id, write)
        return found

    # --- changes of a binding ---

    async def mute(self, room_id: str, channel_id: str) -> ChannelBinding:
        """What the channel says is stored but not passed on; it still hears."""
        return await self._update(
            room_id,
            channel_id,
            lambda binding: {"muted": True},
            EventType.CHANNEL_MUTED,
            "channel_muted",
            HookTrigger.ON_CHANNEL_MUTED,
        )

    async def unmute(self, room_id: str, channel_id: str) -> ChannelBinding:
        """The end of a mute."""
        return await self._update(
            room_id,
            channel_id,
            lambda binding: {"muted": False},
            EventType.CHANNEL_UNMUTED,
            "channel_unmuted",
            HookTrigger.ON_CHANNEL_UNMUTED,
        )

    async def set_visibility(self, room_id: str, channel_id: str, visibility: str) -> ChannelBinding:
        """Who sees what this channel says from now on."""
        return await self._update(
            room_id,
            channel_id,
            lambda binding: {"visibility": visibility},
            EventType.CHANNEL_UPDATED,
            "channel_visibility_changed",
            data=lambda binding: {"old_visibility": binding.visibility, "visibility": visibility},
        )

    async def set_access(self, room_id: str, channel_id: str, access: Access) -> ChannelBinding:
        """Whether the channel may read and write; what was owed to one that may not read any more ends."""
        return await self._update(
            room_id,
            channel_id,
            lambda binding: {"access": Access(access)},
            EventType.CHANNEL_UPDATED,
            "channel_access_changed",
            data=lambda binding: {"old_access": binding.access.value, "access": Access(access).value},
        )

    async def update_metadata(self, room_id: str, channel_id: str, metadata: dict[str, Any]) -> ChannelBinding:
        """Merge metadata into the binding."""
        checked = ChannelBinding(
            channel_id=channel_id, room_id=room_id, channel_type=ChannelType.SYSTEM, metadata=metadata
        ).metadata
        return await self._update(
            room_id,
            channel_id,
            lambda binding: {"metadata": FrozenDict({**binding.metadata, **checked})},
            EventType.CHANNEL_UPDATED,
            "channel_metadata_updated",
            data=lambda binding: {"keys": sorted(checked)},
        )

    async def _update(
        self,
        room_id: str,
        channel_id: str,
        changes: Callable[[ChannelBinding], dict[str, Any]],
        event_type: EventType,
        code: str,
        trigger: HookTrigger | None = None,
        data: Callable[[ChannelBinding], dict[str, Any]] = lambda binding: {},
    ) -> ChannelBinding:
        async def write(unit: Unit) -> None:
            before = unit.bindings.get(channel_id)
            if before is None:
                raise _not_attached(room_id, channel_id)
            binding = evolve(before, **changes(before))
            _put(unit, binding)
            if receives(before) and not receives(binding):
                _end_deliveries(unit, channel_id)
            event = note(unit, event_type, code, f"{channel_id}: {code}", {"channel_id": channel_id, **data(before)})
            announce(unit, about_channel(None, event, binding, trigger))

        unit = await change_room(self._ports, self._runners, room_id, write)
        return unit.bindings[channel_id]


def _not_attached(room_id: str, channel_id: str) -> ChannelNotFoundError:
    return ChannelNotFoundError(f"channel {channel_id!r} is not attached to room {room_id!r}")


def _with_route(fields: dict[str, Any]) -> dict[str, Any]:
    """``route=`` is the short form of ``routes={participant: route}``."""
    fields = dict(fields)
    route = fields.pop("route", None)
    if route is not None:
        route = route if isinstance(route, Route) else Route.model_validate(route)
        fields["routes"] = {**fields.get("routes", {}), route.participant_id or route.address: route}
    return fields


def _put(unit: Unit, binding: ChannelBinding) -> None:
    unit.change(bindings={**unit.bindings, binding.channel_id: binding})


def _suppress_planned(unit: Unit, channel_id: str, reason: str) -> None:
    """What this same unit has planned for the channel ends with it, as what was owed before does."""
    entries = []
    for entry in unit.draft.entries:
        rows = tuple(
            row._replace(state=WorkState.SUPPRESSED, code=reason)
            if row.channel_id == channel_id and row.state is WorkState.PENDING
            else row
            for row in entry.plan.rows
        )
        plan = entry.plan._replace(
            rows=rows,
            live=tuple(target for target in entry.plan.live if target.channel_id != channel_id),
            asks=tuple(binding for binding in entry.plan.asks if binding.channel_id != channel_id),
        )
        entries.append(Entry(entry.event, plan, entry.chain, observed=entry.observed))
    unit.change(entries=tuple(entries))


def _end_deliveries(unit: Unit, channel_id: str) -> None:
    """What is owed to a channel that may not read any more ends; what it is going to say itself does not."""
    ended = tuple(Withdrawal(NO_ACCESS, channel_id, kind.value) for kind in (WorkKind.DELIVERY, WorkKind.ASK))
    unit.change(withdrawals=(*unit.draft.withdrawals, *ended))
    _suppress_planned(unit, channel_id, NO_ACCESS)


def _tombstones(unit: Unit) -> list[str]:
    return list(unit.room.metadata.get(TOMBSTONES, ()))


def _bury(unit: Unit, channel_id: str) -> None:
    """Remember that the channel was detached on purpose, so that a message does not attach it again."""
    _set_tombstones(unit, sorted({*_tombstones(unit), channel_id}))


def _forget_tombstone(unit: Unit, channel_id: str) -> None:
    tombstones = _tombstones(unit)
    if channel_id in tombstones:
        tombstones.remove(channel_id)
        _set_tombstones(unit, tombstones)


def _set_tombstones(unit: Unit, tombstones: list[str]) -> None:
    metadata = {key: value for key, value in unit.room.metadata.items() if key != TOMBSTONES}
    if tombstones:
        metadata[TOMBSTONES] = FrozenList(tombstones)
    unit.change(room=evolve(unit.room, metadata=FrozenDict(metadata)))
