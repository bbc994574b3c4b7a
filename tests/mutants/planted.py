"""Planted defects: for each trap a wrong version of our own code, which the tests named for that trap must catch."""

from __future__ import annotations

from typing import NamedTuple


class Mutant(NamedTuple):
    """One defect.

    Attributes:
        name: The trap or rule, and what is wrong.
        path: The file.
        right: What stands there; once, and exactly so.
        wrong: What is planted.
        select: pytest's ``-k`` for the tests that must catch it.
        where: The tests to look in.
    """

    name: str
    path: str
    right: str
    wrong: str
    select: str
    where: str = "tests"


CORE = "roomkit_core"
ENGINE = "roomkit_core/engine"
PROTOCOL = "tests/protocol"
CRASH = ("two_hundred", "tests/faults")
"""The defect shows when processes are killed: the crash driver has to find it."""

MUTANTS = (
    Mutant(
        "T1: the router guesses by channel",
        f"{CORE}/builtin/router.py",
        "return await self._store.find_conversation((channel_id, conversation_key))",
        "return next(iter(await self._store.find_room_ids_by_channel(channel_id)), None)",
        "_t1_",
    ),
    Mutant(
        "T2: a new room does not claim its conversation",
        f"{ENGINE}/steps/join_room.py",
        "claims=() if conversation is None else (conversation,),",
        "claims=(),",
        "_t2_",
    ),
    Mutant(
        "T3: create_room resets a room that exists",
        f"{ENGINE}/verbs/rooms.py",
        "        answer = await ports.store.commit(changes)\n",
        "        await ports.store.delete_room(room.id)\n        answer = await ports.store.commit(changes)\n",
        "_t3_",
    ),
    Mutant(
        "T4: the key of a message is not kept",
        f"{ENGINE}/steps/write.py",
        "        if key is not None:\n            unit.decide_key(key, KeyResult(unit.room_id, event.id",
        "        if key is None:\n            unit.decide_key(key, KeyResult(unit.room_id, event.id",
        "_t4_",
    ),
    Mutant(
        "T5: the sender's metadata decides who sees a message",
        f"{ENGINE}/pure/plan.py",
        "    visibility = event.visibility\n",
        '    visibility = event.metadata.get("visibility", event.visibility)\n',
        "_t5_",
    ),
    Mutant(
        "T6: spaces in a list of channels count",
        f"{ENGINE}/pure/permissions.py",
        'in (part.strip() for part in visibility.split(","))',
        'in visibility.split(",")',
        "_t6_",
    ),
    Mutant(
        "T6: the binding's visibility is not stored with the event",
        f"{ENGINE}/pure/permissions.py",
        'return source.visibility if event.visibility == "all" else event.visibility',
        "return event.visibility",
        "_t6_",
    ),
    Mutant(
        "T7: a lock is owned by whoever once held it",
        f"{CORE}/builtin/locks.py",
        "while enclosing is not None and enclosing.room is not room:",
        "while enclosing is not None and enclosing.room_id != room.room_id:",
        "locks or t7",
        "tests/builtin",
    ),
    Mutant(
        "T8: a lock granted to a cancelled waiter is lost",
        f"{CORE}/builtin/locks.py",
        "            if turn.holder is self:  # granted and cancelled at the same moment\n"
        "                self._end()\n",
        "",
        "locks or t8",
        "tests/builtin",
    ),
    Mutant(
        "T10: one lane for all channels of a room",
        f"{ENGINE}/pure/plan.py",
        'lane=(event.room_id, binding.channel_id, "" if route is None else route.lane),',
        "lane=(event.room_id,),",
        "_t10_",
    ),
    Mutant(
        "T11: one observer after the other",
        f"{CORE}/hooks/observers.py",
        "if self._queue and self._tasks == self._suspended and self._tasks < MAX_TASKS:",
        "if self._queue and self._tasks == 0:",
        "_t11_",
    ),
    Mutant(
        "T14: success=False is a success",
        f"{CORE}/interfaces/channel.py",
        "        if result.success:\n",
        "        if result is not None:\n",
        "_t14_",
    ),
    Mutant(
        "T14: an unregistered channel is skipped in silence",
        f"{ENGINE}/pure/plan.py",
        "rows = (*rows, _unregistered(event, binding))",
        "continue",
        "_t14_",
    ),
    Mutant(
        "T22: a guard that fails lets the message pass",
        f"{CORE}/hooks/deciding.py",
        '    if hook.on_error == "block":\n        decision.reason',
        '    if hook.on_error == "never":\n        decision.reason',
        "_t22_",
    ),
    Mutant(
        "T23: a hook may use up all the time of the message",
        f"{CORE}/hooks/deciding.py",
        "bounds.limit = (hook.timeout, share)",
        "bounds.limit = (hook.timeout, 1)",
        "_t23_",
    ),
    Mutant(
        "T24: the hooks of a deleted room stay",
        f"{ENGINE}/verbs/rooms.py",
        "            ports.hooks.forget_room(room_id)\n",
        "",
        "_t24_",
    ),
    Mutant(
        "T25: filters are ignored for what is not a message",
        f"{ENGINE}/steps/aftermath.py",
        "            if not hook.is_filtered or hook.matches(source):\n",
        "            if hook is not None:\n",
        "_t25_",
    ),
    Mutant(
        "T29: a blocked event gets index 0",
        f"{ENGINE}/steps/write.py",
        "changes.update(status=EventStatus.BLOCKED,",
        "changes.update(index=0, status=EventStatus.BLOCKED,",
        "_t29_",
    ),
    Mutant(
        "T34: only known kinds",
        f"{CORE}/models/kinds.py",
        "if not _pattern.fullmatch(value):",
        "if cls.known and value not in cls.known:",
        "_t34_",
    ),
    Mutant(
        "T35: the core asks for a concrete channel",
        f"{ENGINE}/verbs/channels.py",
        '        register = getattr(channel, "register_connection", None)\n',
        '        register = getattr(channel, "register_connection", None)\n'
        '        if type(channel).__name__ != "WebSocketChannel":\n            register = None\n',
        "_t35_",
    ),
    Mutant(
        "C2: no guard on discharges",
        f"{CORE}/builtin/memory_commit.py",
        "        if not tables.work.is_held(row_id, token):\n            return _LOST\n",
        "        continue\n",
        "",
        "tests/stores",
    ),
    Mutant(
        "C5: a version without its epoch",
        f"{CORE}/builtin/memory_commit.py",
        "elif expected is not None and (record.epoch, record.commit_id) != expected:",
        "elif expected is not None and record.commit_id != expected[1]:",
        "",
        "tests/stores",
    ),
    Mutant(
        "DESIGN 4: what a failing hook did stays",
        f"{CORE}/hooks/deciding.py",
        "            node.die()\n            stage.restore(saved)\n            answer = None\n",
        "            node.die()\n            saved = stage.draft\n            answer = None\n",
        "hook",
        "tests/engine",
    ),
    Mutant(
        "DESIGN 4: an event is shown to the hook that sent it",
        f"{CORE}/hooks/registration.py",
        "and hook not in chain",
        "and True",
        "hook",
        "tests/engine",
    ),
    Mutant(
        "DESIGN 4: a circle of rooms waits",
        f"{ENGINE}/state/lock_graph.py",
        "            if unit in ancestors:\n",
        "            if unit is None:\n",
        "hook",
        "tests/engine",
    ),
    Mutant(
        "T17: a cancelled probe locks the breaker",
        f"{CORE}/builtin/breaker.py",
        "gets a ticket of its own.\n            self._state = BreakerState.OPEN\n",
        "gets a ticket of its own.\n            pass\n",
        "_t17_",
    ),
    Mutant(
        "T17: one bad recipient counts as a failure of the provider",
        f"{ENGINE}/flow/permit.py",
        "            if retryable:\n",
        "            if True:\n",
        "_t17_",
    ),
    Mutant(
        "T17: a registration makes a new breaker",
        f"{ENGINE}/flow/gates.py",
        "        if gate is None:\n",
        "        if True:\n",
        "_t17_",
    ),
    Mutant(
        "T18: a bucket smaller than one token",
        f"{CORE}/builtin/limiter.py",
        "depth = max(self._burst, bucket.interval)",
        "depth = self._burst",
        "_t18_",
    ),
    Mutant(
        "T18: a window that is set is overlooked",
        f"{CORE}/builtin/limiter.py",
        "60.0 / limit.max_per_minute",
        "0.0",
        "_t18_",
    ),
    Mutant(
        "T18: a bucket that is not full is evicted",
        f"{CORE}/builtin/limiter.py",
        "            if full_at <= now:\n",
        "            if True:\n",
        "_t18_",
    ),
    Mutant(
        "L9: what is handed back keeps its token",
        f"{ENGINE}/flow/permit.py",
        "            self._gate.give_back(self._tokens)\n",
        "",
        "_l9_",
    ),
    Mutant(
        "L12: what was withdrawn under a dead holder is tried again",
        f"{ENGINE}/pure/verdicts.py",
        "    if row.cancel:\n",
        "    if False:\n",
        "l12 or two_hundred",
    ),
    Mutant(
        "crash: the answer before the COMMIT",
        f"{CORE}/builtin/sqlite_group.py",
        '            self.db.execute("COMMIT")\n        except Exception',
        "            for request, answer, fault in answers:\n"
        "                request.answer, request.error = answer, fault\n"
        "            requests[0].group.finish()\n"
        '            self.db.execute("COMMIT")\n        except Exception',
        *CRASH,
    ),
    Mutant(
        "crash: the receipt before the send",
        f"{ENGINE}/steps/deliver.py",
        "                receipt = await self._call(work, subject, done, channel.reconcile) if asks_first else None\n",
        "                receipt = await self._call(work, subject, done, channel.reconcile) if asks_first else None\n"
        '                sent = Outcome(WorkState.SENT, provider_ids=("x",) * len(row.payload))\n'
        "                await settle(self._ports, work.hold, Verdict(sent))\n",
        *CRASH,
    ),
    Mutant(
        "crash: the key outside the commit",
        f"{ENGINE}/state/commit.py",
        "        changes.keys = draft.keys\n",
        "        keys = ChangeSet(None, new_commit_id(), None, keys=draft.keys)\n"
        "        unit.ports.background.spawn(unit.ports.store.commit, keys)\n",
        *CRASH,
    ),
    Mutant(
        "crash: a queued row can be claimed",
        f"{CORE}/builtin/sqlite_births.py",
        "        return fresh._replace(state=_PENDING, due=None), None\n",
        "        return fresh._replace(state=_PENDING, due=now), now\n",
        *CRASH,
    ),
    Mutant(
        "crash: always claimed at birth",
        f"{CORE}/builtin/sqlite_births.py",
        "is_head=packed.lane is None or packed.lane not in busy",
        "is_head=True",
        *CRASH,
    ),
    Mutant(
        "crash: no mark on takeover",
        f"{CORE}/builtin/sqlite_claims.py",
        "maybe_sent=row.maybe_sent or row.state is not _PENDING,",
        "maybe_sent=row.maybe_sent,",
        *CRASH,
    ),
    Mutant(
        "crash: an ask that its answer does not discharge",
        f"{ENGINE}/steps/answer.py",
        "            discharges=(Discharge(row.id, work.hold.token, ANSWERED),),\n",
        "",
        *CRASH,
    ),
    Mutant(
        "crash: a journaled message that its commit does not discharge",
        f"{ENGINE}/steps/inbound.py",
        "        if self.claim is not None:\n            self.discharge(unit)\n",
        "",
        *CRASH,
    ),
    Mutant(
        "crash: the hint before the commit",
        f"{ENGINE}/state/commit.py",
        "    batch.since = ports.clock.monotonic()\n",
        "    batch.since = ports.clock.monotonic()\n"
        "    for entry in batch.entries:\n"
        "        for target in entry.plan.live:\n"
        "            cursor = __import__('roomkit_core').Cursor('', entry.event.index)\n"
        "            target.on_hint(unit.room_id, entry.event, cursor)\n",
        *CRASH,
    ),
    Mutant(
        "crash: a takeover does not wait the quiet time",
        f"{ENGINE}/pure/lifetimes.py",
        "    return round(quiet_seconds(channel) * 1_000_000)\n",
        "    return 0 * round(quiet_seconds(channel))\n",
        *CRASH,
    ),
    Mutant(
        "crash: a lost reply does not wait the quiet time",
        f"{ENGINE}/pure/verdicts.py",
        "        delay = max(delay, quiet_seconds(channel) - elapsed)\n",
        "        pass\n",
        *CRASH,
    ),
    Mutant(
        "crash: a part that is through is not recorded",
        f"{CORE}/builtin/sqlite_outcomes.py",
        "            row = row._replace(parts_done=report.parts_done)\n",
        "            pass\n",
        *CRASH,
    ),
    Mutant(
        "crash: a settle does not let its lane go on",
        f"{CORE}/builtin/sqlite_outcomes.py",
        "            self._lanes.append((self._now, pack_lane(row.lane)))\n",
        "            pass\n",
        *CRASH,
    ),
    Mutant(
        "crash: what is in flight at a stop stays so",
        f"{ENGINE}/flow/runners.py",
        "                verdict = Verdict(INTERRUPTED, _quiet(row)) if work.hold.is_calling else HANDED_BACK\n",
        "                verdict = None\n",
        *CRASH,
    ),
    Mutant(
        "crash: at a stop everything is unknown",
        f"{ENGINE}/flow/runners.py",
        "                verdict = Verdict(INTERRUPTED, _quiet(row)) if work.hold.is_calling else HANDED_BACK\n",
        "                verdict = Verdict(INTERRUPTED, 0.0)\n",
        "stop",
        "tests/faults",
    ),
    Mutant(
        "L1: no mark on takeover",
        f"{CORE}/builtin/memory_rows.py",
        "        fields[MAYBE_SENT] = True\n",
        "        pass\n",
        "_l1_",
        PROTOCOL,
    ),
    Mutant(
        "L2: always claimed at birth",
        f"{CORE}/builtin/memory_open.py",
        "        is_head = self._join(row)\n",
        "        is_head = self._join(row) or row.state is _IN_FLIGHT\n",
        "_l2_",
        PROTOCOL,
    ),
    Mutant(
        "L3: no lane rule",
        f"{CORE}/builtin/memory_open.py",
        "            lane[row.id] = None\n            return False\n",
        "            lane[row.id] = None\n            return True\n",
        "_l3_",
        PROTOCOL,
    ),
    Mutant(
        "L3: the state decides and not the token",
        f"{CORE}/builtin/memory_work.py",
        "if row is None or row.token != token or row.state is not _IN_FLIGHT:",
        "if row is None or row.state is not _IN_FLIGHT:",
        "_l3_",
        PROTOCOL,
    ),
    Mutant(
        "L4: no lease check",
        f"{ENGINE}/flow/holdings.py",
        "        while not hold.is_lost and self._clock.monotonic() + seconds + MARGIN > hold.deadline:\n",
        "        while False:\n",
        "_l4_",
        PROTOCOL,
    ),
    Mutant(
        "L4: a renewal counts from when its answer comes",
        f"{ENGINE}/flow/holdings.py",
        "                hold.deadline = since + lease\n",
        "                hold.deadline = self._clock.monotonic() + lease\n",
        "_l4_",
        PROTOCOL,
    ),
    Mutant(
        "L5: a takeover does not wait the quiet time",
        f"{CORE}/builtin/memory_rows.py",
        "        return row.lease_until + row.quiet\n",
        "        return row.lease_until\n",
        "_l5_",
        PROTOCOL,
    ),
    Mutant(
        "L5: what a close interrupted is due at once",
        f"{ENGINE}/flow/runners.py",
        "Verdict(INTERRUPTED, _quiet(row)) if",
        "Verdict(INTERRUPTED, 0.0) if",
        "_l5_",
        PROTOCOL,
    ),
    Mutant(
        "L6: nobody prolongs a tenure",
        f"{ENGINE}/flow/holdings.py",
        "        by_lease: dict[float, list[Hold]] = {}\n        for hold in self._live.values():\n",
        "        by_lease: dict[float, list[Hold]] = {}\n        for hold in ():\n",
        "_l6_",
        PROTOCOL,
    ),
    Mutant(
        "L6: the tenure of a task that is over lives on",
        f"{ENGINE}/flow/holdings.py",
        "        if self._live.get(hold.row_id) is hold:\n            del self._live[hold.row_id]\n",
        "",
        "_l6_",
        PROTOCOL,
    ),
    Mutant(
        "L8: nobody looks at the lane after a settle",
        f"{ENGINE}/flow/runners.py",
        "            await self._work(work)\n            work = await self._next(pool)\n",
        "            await self._work(work)\n            work = None\n",
        "_l8_",
        PROTOCOL,
    ),
    Mutant(
        "L9: what is handed back has spent an attempt",
        f"{CORE}/builtin/memory_work.py",
        "            fields[ATTEMPTS] = max(row.attempts - 1, 0)\n",
        "            pass\n",
        "_l9_",
        PROTOCOL,
    ),
    Mutant(
        "L10: all parts have one key",
        f"{ENGINE}/steps/deliver.py",
        'f"{row.provider_key}:{number}"',
        "row.provider_key",
        "_l10_",
        PROTOCOL,
    ),
    Mutant(
        "L11: the last status wins",
        f"{CORE}/builtin/memory_receipts.py",
        "    return other if _RANKS[other] > _RANKS[one] else one\n",
        "    return other\n",
        "_l11_",
        PROTOCOL,
    ),
    Mutant(
        "L12: a detach leaves what is owed",
        f"{ENGINE}/state/commit.py",
        "    if draft.withdrawals:\n        changes.withdrawals = draft.withdrawals\n",
        "",
        "_l12_",
        PROTOCOL,
    ),
    Mutant(
        "L13: what kills its holders comes for ever",
        f"{ENGINE}/pure/verdicts.py",
        "    if row.takeovers > MAX_TAKEOVERS:\n",
        "    if False:\n",
        "_l13_",
        PROTOCOL,
    ),
    Mutant(
        "L13: nothing runs alone",
        f"{ENGINE}/flow/runners.py",
        "        alone = work.row.takeovers >= ALONE_FROM\n",
        "        alone = False\n",
        "_l13_",
        PROTOCOL,
    ),
    Mutant(
        "L14: the pump waits for channels",
        f"{ENGINE}/flow/chores.py",
        "            ports.background.watch(partial(ask, gate))\n",
        "            await ask(gate)\n",
        "_l14_",
        PROTOCOL,
    ),
    Mutant(
        "C1: the key is only looked up",
        f"{CORE}/builtin/memory_commit.py",
        "        result = tables.keys.find(key)\n        if result is not None:\n",
        "        result = tables.keys.find(key)\n        if result is None and False:\n",
        "_c1_",
        PROTOCOL,
    ),
    Mutant(
        "C2: no guard on discharges, and two kits",
        f"{CORE}/builtin/memory_commit.py",
        "        if not tables.work.is_held(row_id, token):\n            return _LOST\n",
        "        continue\n",
        "_c2_",
        PROTOCOL,
    ),
    Mutant(
        "C3: a repeat does not discharge its row",
        f"{ENGINE}/steps/journal.py",
        "        return None if passage.known is None else Verdict(end_of(passage.known))\n",
        "        return None\n",
        "_c3_",
        PROTOCOL,
    ),
    Mutant(
        "C5: the version is not compared",
        f"{CORE}/builtin/memory_commit.py",
        "    elif expected is not None and (record.epoch, record.commit_id) != expected:\n",
        "    elif expected is not None and False:\n",
        "_c5_",
        PROTOCOL,
    ),
    Mutant(
        "C6: a direct call overtakes the journal",
        f"{ENGINE}/steps/inbound.py",
        "self.claim is None and await self.stands_behind():",
        "self.claim is None and False:",
        "_c6_",
        PROTOCOL,
    ),
    Mutant(
        "C8: each event of an answer is a commit",
        f"{ENGINE}/steps/answer.py",
        "            discharges=(Discharge(row.id, work.hold.token, ANSWERED),),\n",
        "",
        "_c8_",
        PROTOCOL,
    ),
    Mutant(
        "V2: the hint before the commit",
        f"{ENGINE}/steps/tenure.py",
        "                    ticket = ports.store.submit(batch.changes)\n",
        "                    for entry in batch.entries:\n"
        "                        for target in entry.plan.live:\n"
        "                            cursor = __import__('roomkit_core').Cursor('', entry.event.index)\n"
        "                            target.on_hint(unit.room_id, entry.event, cursor)\n"
        "                    ticket = ports.store.submit(batch.changes)\n",
        "_v2_",
        PROTOCOL,
    ),
    Mutant(
        "PROTOCOL 7, 9: a row that is lost between two parts keeps its place",
        f"{ENGINE}/steps/deliver.py",
        "                permit = following or permit  # from here on it is ended, also where the row is lost\n",
        "",
        "parts",
        PROTOCOL,
    ),
    Mutant(
        "PROTOCOL 7, 10: whether a deletion has to be told is decided when it is committed",
        f"{ENGINE}/verbs/erasure.py",
        "MAY_BE_THERE = OPEN_STATES | {WorkState.SENT, WorkState.PARTIAL}\n",
        "MAY_BE_THERE = {WorkState.IN_FLIGHT, WorkState.UNKNOWN, WorkState.SENT, WorkState.PARTIAL}\n",
        "test_10_",
        PROTOCOL,
    ),
    Mutant(
        "PROTOCOL 7, 11: the pump remembers one moment",
        f"{ENGINE}/flow/pump.py",
        "            heappush(self._wakes, moment)\n",
        "            pass\n",
        "test_11_",
        PROTOCOL,
    ),
)
