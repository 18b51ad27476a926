"""How an ending is told to people: one sentence for each cause."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from vmm.machine import Machine

QUIET = ("power-off", "debug-exit", "stopped")  # the user asked for it, or the code says it all


def sentence(cause: str, detail: Mapping[str, Any]) -> str:
    """What happened, for stderr and the report."""
    match cause:
        case "power-off":
            return "the guest powered itself off"
        case "reset":
            return "the guest reset itself and --reboot exit says to end then"
        case "debug-exit":
            return f"the guest wrote {detail.get('value')} to isa-debug-exit"
        case "crash":
            return f"the guest crashed: {detail.get('what', 'for a reason unknown')}"
        case "panic":
            seen = {"pvpanic": "it said so through pvpanic", "console": "its console shows it"}
            how = seen.get(str(detail.get("seen")), str(detail.get("seen", "no details")))
            return f"the guest panicked ({how})"
        case "timeout":
            seconds = detail.get("seconds")
            after = f" after {seconds:g} seconds" if isinstance(seconds, int | float) else ""
            return f"--timeout: the guest was still running{after}"
        case "signal":
            return f"stopped by {detail.get('signal', 'a signal')}"
        case "stopped":
            reason = detail.get("reason")
            return f"stopped on request ({reason})" if reason else "stopped on request"
    return f"ended: {cause}"


def unused(machine: Machine) -> dict[str, str]:
    """Devices that no driver of the guest ever made work, each with the Linux option it needs."""
    found = ((device.name, device.unused()) for device in machine.hardware.devices)
    return {name: option for name, option in found if option is not None}


def unused_sentence(device: str, option: str) -> str:
    hint = f": a Linux guest needs {option}, built in or as a loaded module" if option else ""
    return f"the guest never used {device}{hint}"
