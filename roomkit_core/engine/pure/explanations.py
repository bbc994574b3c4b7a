"""What each code means, in one sentence, and what to do about it.

Every code that the core can write stands here; the generator of the reference reads the source for them. A plugin has
its own in a module ``codes``. Of others only their state and reason can be told.
"""

from __future__ import annotations

from roomkit_core.errors import Explanation
from roomkit_core.models.work import WorkState

_RETRY = "Retry it: roomkit dead retry {id}."
_LOOK = "Look at the log of that moment for the exception"
_FIX_AND_RETRY = "Correct that, then retry it: roomkit dead retry {id}."
_DUPLICATE = "It is tried again by itself; the person may get it twice where the provider does not know the key."
_DISK = "Look at the disk and its log; what was acknowledged is safe."

EXPLANATIONS: dict[str, Explanation] = {
    # --- what becomes of a delivery
    "delivery.failed": Explanation("The provider refused it for good", _FIX_AND_RETRY),
    "provider.refused": Explanation("The provider refused it for good", _FIX_AND_RETRY),
    "delivery.timeout": Explanation(
        "The provider did not answer in time, and nobody knows whether it took the message", _DUPLICATE
    ),
    "delivery.raised": Explanation(
        "The call to the provider broke off with an exception, and nobody knows whether it took the message",
        "If the channel is certain that nothing was sent it should say so with DeliveryFailedError. " + _DUPLICATE,
    ),
    "delivery.interrupted": Explanation(
        "The kit was closed while the provider was being called, and nobody knows whether it took the message",
        _DUPLICATE,
    ),
    "delivery.no_receipt": Explanation(
        "The channel's send returned something that is no Receipt, and nobody knows whether anything was sent",
        "Correct the channel: send returns a Receipt.",
    ),
    "delivery.bad_receipt": Explanation(
        "The channel's send returned a Receipt in a state that is no answer",
        "Correct the channel: SENT, PARTIAL, SUPPRESSED, FAILED and UNKNOWN are answers.",
    ),
    "delivery.rendered": Explanation("It was never rendered before, so the running kit rendered it into a new row"),
    "expired": Explanation("It was not done before its time was over", _RETRY),
    "work.attempts": Explanation("The retry policy of its binding allows no further attempt", _RETRY),
    "work.takeovers": Explanation(
        "Too many workers that held it never came back: it may be what kills them", f"{_LOOK}s of the workers. {_RETRY}"
    ),
    "work.failed": Explanation("The work on it failed in a way that nobody foresaw", f"{_LOOK}; it is tried again."),
    "cancelled": Explanation("It was cancelled by hand", _RETRY),
    "event.never_sent": Explanation("The event was deleted before it was sent here, so there is nothing to take back"),
    "timer.none": Explanation("The room has no timers any more, or is closed"),
    "timer.replaced": Explanation("The room was given other timers"),
    # --- how a kit is
    "kit.closing": Explanation("The kit is closing or closed", "Send messages to another one, or start it again."),
    "pump.silent": Explanation(
        "Nothing that is owed is brought forward: the pump has not looked for long",
        "Look for code that blocks the event loop; if it does not mend itself, restart the process.",
    ),
    # --- its reason is gone
    "channel.detached": Explanation(
        "Its channel was detached from the room", "Attach the channel again, then: roomkit dead retry {id}."
    ),
    "channel.access": Explanation(
        "Its channel may not receive in this room any more", "Change the access, then: roomkit dead retry {id}."
    ),
    "event.gone": Explanation("The event that it is about was deleted"),
    "event.deleted": Explanation("The event that it is about was deleted"),
    "room.gone": Explanation("Its room was deleted before it was time"),
    "event.pruned": Explanation("What the event said was removed when its time was over"),
    "deleted": Explanation("Its room was deleted, with everything that was owed in it"),
    # --- it could not be rendered
    "content.unsupported": Explanation(
        "The channel cannot carry this kind of content",
        "Send it in a form that the channel carries, or override its render.",
    ),
    "content.too_long": Explanation("The text is longer than the channel takes", "Send it in shorter messages."),
    "content.empty": Explanation("The channel found nothing to send in it", "Correct the channel's render."),
    "content.render_failed": Explanation("The channel's render raised an exception", f"{_LOOK}; correct the channel."),
    "channel.not_registered": Explanation(
        "No channel of this id was registered with the kit that planned it",
        "Register the channel, then: roomkit dead retry {id}.",
    ),
    "channel.cannot_send": Explanation("The channel implements neither send nor deliver", "Correct the channel."),
    "channel.not_attached": Explanation("The channel is not attached to the room", "Attach it."),
    "channel.already_registered": Explanation("Another channel of this id is registered", "Choose another id."),
    "channel.hint_failed": Explanation("The channel raised when it was told about the event", f"{_LOOK}."),
    # --- messages that are not let in
    "message.refused": Explanation("The message was refused"),
    "message.failed": Explanation("Bringing the message in failed with an exception", f"{_LOOK}. {_RETRY}"),
    "message.unreadable": Explanation(
        "The journal holds a message that this kit cannot read", f"Load the plugin that it came through. {_RETRY}"
    ),
    "message.duplicate": Explanation("Its key was used before, and what it stood for is gone", "Use a new key."),
    "message.undecided": Explanation("A hook below it repeated its own message", "Let the hook ignore that channel."),
    "room_closed": Explanation("The room was closed", "Write to an open room; a closed one takes nothing more."),
    "room.closed": Explanation("The room was closed", "Write to an open room; a closed one takes nothing more."),
    "channel_detached": Explanation(
        "The channel was detached from the room on purpose", "Attach it again with attach_channel()."
    ),
    "rate_limited": Explanation("More messages came in than the kit lets in", "Send it again later."),
    "queued": Explanation("It waits in the journal behind others of its conversation"),
    "source_muted": Explanation("The channel that said it is muted in this room", "unmute() it, and say it again."),
    "source_read_only": Explanation(
        "The channel that said it may not write in this room", "Change its access with set_access()."
    ),
    "event_chain_depth_limit": Explanation(
        "It is an answer to an answer, deeper than max_chain_depth",
        "Let bots ignore each other, or raise max_chain_depth.",
    ),
    "hook_error": Explanation(
        "A guard failed, and guards that fail block", f"{_LOOK}; correct the hook, and say it again."
    ),
    "hook.guard_failed": Explanation(
        "A guard failed while the message was being brought in", f"{_LOOK}; correct the hook. {_RETRY}"
    ),
    "hook_blocked": Explanation("A hook blocked it"),
    "process_timeout": Explanation(
        "It was not committed within process_timeout", "Look for a slow hook, or for a room that many write to."
    ),
    # --- asks and durable hooks
    "ask.timeout": Explanation("The channel that was asked did not answer in time", _RETRY),
    "ask.failed": Explanation("The channel that was asked raised an exception", f"{_LOOK}. {_RETRY}"),
    "hook.failed": Explanation("The durable hook raised an exception", f"{_LOOK}; correct the hook. {_RETRY}"),
    "hook.timeout": Explanation(
        "The durable hook did not end in time", f"Make it faster, or its time longer. {_RETRY}"
    ),
    "hook.not_registered": Explanation(
        "No durable hook of this name is registered with the running kit", "Deploy the hook again, or cancel the row."
    ),
    # --- who calls gets these as errors; they are written where a call came out of the journal or an ask
    "hook.invalid": Explanation("A hook is registered in a way that makes no sense", "Correct the registration."),
    "hook.not_callable": Explanation("A hook is no function", "Correct the registration."),
    "hook.on_error": Explanation("A hook's on_error is no word for it, or stands where it means nothing"),
    "hook.durable": Explanation("A durable hook's registration makes no sense", "Correct the registration."),
    "hook.durable_name": Explanation("Two durable hooks have one name", "Name them apart."),
    "hook.ended": Explanation("A task of a hook wrote into the room after the hook had ended", "Await it in the hook."),
    "loop": Explanation(
        "Hooks and bots brought each other about without end", "Let them ignore each other, or raise max_chain_depth."
    ),
    "lock.self": Explanation("A hook waited for its own room", "Do that from an AFTER_BROADCAST observer."),
    "lock.circle": Explanation("Hooks of rooms waited for each other", "It goes through when it is tried again."),
    "conversation.taken": Explanation("The conversation belongs to another room", "Send it there, or take it over."),
    "work.stale_lease": Explanation("Another worker took it over"),
    "work.not_found": Explanation("There is no such row", "Check the id."),
    "room.not_found": Explanation("The room does not exist", "Check the id."),
    "room.exists": Explanation("There is a room of this id", "Choose another id."),
    "room.delete_inside": Explanation("A hook deleted its own room", "Do that from an AFTER_BROADCAST observer."),
    "participant.not_found": Explanation("There is no such participant in the room", "Check the id."),
    "identity.not_found": Explanation("There is no such identity", "Check the id."),
    "event.not_found": Explanation("There is no such event", "Check the id."),
    "source.already_attached": Explanation("The channel has a source already"),
    "source.not_found": Explanation("The channel has no source"),
    "voice.not_configured": Explanation("The kit has no speech-to-text or text-to-speech"),
    "voice.backend_not_configured": Explanation("The kit has no voice backend"),
    "config.invalid": Explanation("The configuration is wrong", "Correct what the error names."),
    "config.app": Explanation("A module of [roomkit] app cannot be used", "Correct what the error names."),
    "config.not_toml": Explanation("The file is no TOML", "Mend the line that the error names."),
    "config.unreadable": Explanation("The file is not there or cannot be read", "Name another with --config."),
    "usage.live": Explanation(
        "There is no kit to start for roomkit doctor --live", "Run it where roomkit.toml is, or add --kit."
    ),
    "hook.module": Explanation("The module of a bot has hooks that cannot be registered", "Correct what it names."),
    "plugin.failed": Explanation("A plugin could not be used", "See kit.plugins.report() or roomkit doctor."),
    "plugin.component_ambiguous": Explanation("Several plugins offer a component of this name", "Write plugin:name."),
    "plugin.component_unknown": Explanation(
        "No plugin that is loaded offers a component of this kind and name", "Correct it, or install the plugin."
    ),
    "plugin.config_model": Explanation(
        "The model of a plugin's settings cannot be imported, or is none", "Look at the exception; correct the plugin."
    ),
    "plugin.not_installed": Explanation("No plugin of this id is installed in this Python", "Install it."),
    "plugin.not_loaded": Explanation("The plugin is installed and this kit does not load it", "Name it in plugins=."),
    "plugin.required": Explanation("A plugin that the kit requires does not work", "See roomkit doctor."),
    "plugin.route_conflict": Explanation("Two plugins serve the same path", "Load only one of them."),
    "plugin.settings": Explanation("The settings of a plugin are wrong", "Correct what the error names."),
    "plugin.target": Explanation(
        "What a plugin announced cannot be imported, or is not what it has to be", "Look at the exception, update it."
    ),
    "roomkit.error": Explanation("RoomKit raised an error", f"{_LOOK}."),
    "kit.unsupported": Explanation("The operation is not offered here, by design"),
    "kit.state": Explanation("The kit was not in the state for that call"),
    "kit.closed": Explanation("The kit was closed", "It goes on with the next start."),
    "kit.not_started": Explanation("The kit was not started", "Start it."),
    "kit.wrong_loop": Explanation("The kit was used from another event loop", "Use it from its own."),
    "kit.reentrant_plugins": Explanation("A plugin that starts or stops cannot change plugins", "Do it from outside."),
    "kit.reentrant_wait": Explanation("Code inside the kit waited for all that runs", "Wait outside of the kit."),
    "retry.not_final": Explanation("It has no outcome yet, so there is nothing to retry"),
    "retry.ended_well": Explanation("It ended well, so there is nothing to retry"),
    "retry.no_body": Explanation("What it was to send is not kept any more", "Send it again as a new message."),
    "work.cannot_cancel": Explanation("An accepted message is never dropped by hand"),
    # --- the store
    "store.conflict": Explanation("Other writers changed the room faster than it could be planned", _RETRY),
    "store.failed": Explanation("The store failed", _DISK),
    "store.busy": Explanation("The store belongs to another process", "Stop that process."),
    "store.locked": Explanation("Another process held the store's file locked", "End what has it open."),
    "store.io": Explanation("The store's file could not be read or written", _DISK),
    "store.disk_full": Explanation("The disk was full", "Make room on the disk."),
    "store.read_only": Explanation("The store's file could not be written", "Let this user write the file."),
    "store.corrupt": Explanation("The store's file is damaged", "Stop, keep the file, and restore a backup."),
    "store.not_a_database": Explanation("The store's path leads to a file of another kind", "Check the path."),
    "store.foreign": Explanation("The file is a database of something else", "Check the path."),
    "store.newer_schema": Explanation("A newer release wrote the store", "Install that release."),
    "store.older_schema": Explanation("The store has an older schema", "Start its owner with this release."),
    "store.changed_schema": Explanation("A migration of the store is not that of this release", "Install its release."),
    "store.too_large": Explanation("It is larger than the store takes", "Keep large media outside; refer to them."),
    "store.old_sqlite": Explanation("This Python has a SQLite that is too old", "Use a newer Python."),
    "store.absent": Explanation("There is no store at that path", "Start its owner first, or name another file."),
    "store.closed": Explanation("The store was closed"),
    "store.forked": Explanation("The store was opened before a fork", "Open it after the fork."),
    "store.file_gone": Explanation("The store's file was removed while it was in use", "Put it back, start again."),
    "store.no_backup": Explanation("This store makes no backups"),
    "store.no_claims": Explanation("A tool beside the owner works on nothing"),
    # --- what a row waits for
    "waits.paused": Explanation("Its channel is paused by an operator", "roomkit deliveries resume {channel}"),
    "waits.breaker": Explanation(
        "The breaker of its channel is open, because the provider failed again and again",
        "It is tried again by itself, with one message first; look at the provider.",
    ),
    "waits.not_ready": Explanation("Its channel says that it is not ready", "Look at its connection and credentials."),
    "waits.rate": Explanation("The rate limit of its channel is used up", "It goes out as soon as the rate allows it."),
    "waits.binding_rate": Explanation("The rate limit of its channel in this room is used up", "It goes out in time."),
    "waits.intake": Explanation("More messages came in than the kit lets in at once", "It is brought in by itself."),
    "waits.busy": Explanation("Its channel is sending as much at once as it may", "It goes out by itself."),
    "waits.not_registered": Explanation(
        "No channel of this id is registered with this kit", "Register the channel; the row waits until it expires."
    ),
    "waits.lane": Explanation("It waits behind another row of its lane, so that order is kept"),
    "waits.backoff": Explanation("It is tried again later"),
    "waits.later": Explanation("It is not due yet"),
    "waits.unclaimed": Explanation(
        "It is due and nobody has taken it",
        "Is the server running, and is this channel registered with it?",
    ),
    "waits.parked": Explanation("It waits for an operator", "Cancel it, or look at the log for why nobody goes on."),
    "waits.held": Explanation("A worker is at it right now"),
    "waits.lost": Explanation(
        "The worker that held it has not been heard of since its lease ended",
        "Another worker takes it over by itself; start the server if none runs.",
    ),
    "maybe_sent": Explanation(
        "An earlier attempt may have got through, so they may have it twice",
        "Nothing was lost. A provider that knows keys makes one of it.",
    ),
    "undelivered": Explanation(
        "The provider took it and reports that it could not be delivered", "Check the address with the provider."
    ),
}

_BY_STATE = {
    WorkState.FAILED: Explanation("The channel refused it for good", _FIX_AND_RETRY),
    WorkState.DEAD: Explanation("It was given up", _RETRY),
    WorkState.EXPIRED: EXPLANATIONS["expired"],
    WorkState.PARTIAL: Explanation("Only some of its parts were sent", "Retry it: what is through is not sent again."),
    WorkState.SUPPRESSED: Explanation("The channel decided not to send it"),
    WorkState.QUARANTINED: Explanation("The message failed again and again and was put aside", _RETRY),
    WorkState.REFUSED: EXPLANATIONS["message.refused"],
    WorkState.PENDING: Explanation("The provider did not take it for now"),
    WorkState.UNKNOWN: Explanation("Nobody knows whether the provider took it", _DUPLICATE),
    WorkState.IN_FLIGHT: EXPLANATIONS["waits.held"],
}


def explain(code: str | None, state: WorkState) -> Explanation:
    """What a code means; for one that is not known here, what its state means."""
    known = None if code is None else EXPLANATIONS.get(code)
    return known or _BY_STATE.get(state) or Explanation("It ended well")
