"""Fixtures that several files share; each lives in its rig's module."""

from __future__ import annotations

from tests.native.blkrig import image
from tests.native.chanrig import make_chan
from tests.native.consolerig import loop
from tests.native.picrig import pic
from tests.native.pitrig import pit
from tests.native.rtcrig import rtc
from tests.native.uartrig import uart
from tests.native.vconrig import make_rig
from tests.native.vhostrig import card
from tests.native.virtiorig import pin_rig

__all__ = ["card", "image", "loop", "make_chan", "make_rig", "pic", "pin_rig", "pit", "rtc", "uart"]
