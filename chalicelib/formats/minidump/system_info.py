"""What machine and system a dump comes from.

Format: MINIDUMP_SYSTEM_INFO. The texts are those of Breakpad's `minidump_processor.cc`
(GetOSInfo, GetCPUInfo, GetARMCpuInfo), the `OS|` and `CPU|` rows of minidump_stackwalk.
"""

from __future__ import annotations

from struct import Struct, pack

from chalicelib.formats.minidump.directory import Stream
from chalicelib.formats.minidump.dump import Cpu, OsName, SystemInfo
from chalicelib.formats.minidump.dump_bytes import Damaged, DumpBytes, Notes

_RECORD = Struct("<3H2B5I2H6I")

_SYSTEMS: dict[int, tuple[OsName, str]] = {
    1: ("windows", "Windows"),
    2: ("windows", "Windows NT"),
    0x8101: ("macos", "Mac OS X"),
    0x8102: ("ios", "iOS"),
    0x8201: ("linux", "Linux"),
    0x8202: ("other", "Solaris"),
    0x8203: ("android", "Android"),
    0x8204: ("other", "PS3"),
    0x8205: ("other", "NaCl"),
    0x8206: ("fuchsia", "Fuchsia"),
}

# PROCESSOR_ARCHITECTURE_* of winnt.h; from 0x8000 on, Breakpad's own.
_X86, _X86_WIN64, _AMD64, _ARM = 0, 10, 9, 5
_CPUS: dict[int, tuple[Cpu, str]] = {
    _X86: ("x86", "x86"),
    1: ("other", "mips"),
    3: ("other", "ppc"),
    _ARM: ("arm", "arm"),
    _AMD64: ("amd64", "amd64"),
    # Breakpad's processor has no name for this one, and prints its number.
    _X86_WIN64: ("x86", "0x000a"),
    12: ("arm64", "arm64"),
    0x8001: ("other", "sparc"),
    0x8002: ("other", "ppc64"),
    0x8003: ("arm64", "arm64"),
    0x8004: ("other", "mips64"),
    0x8005: ("other", "riscv"),
    0x8006: ("other", "riscv64"),
}

_ARM_VENDORS = {0x41: "ARM", 0x51: "Qualcomm", 0x56: "Marvell", 0x69: "Intel/Marvell"}
_ARM_PARTS = {
    0x4100C050: "Cortex-A5",
    0x4100C080: "Cortex-A8",
    0x4100C090: "Cortex-A9",
    0x4100C0F0: "Cortex-A15",
    0x4100C140: "Cortex-R4",
    0x4100C150: "Cortex-R5",
    0x4100B360: "ARM1136",
    0x4100B560: "ARM1156",
    0x4100B760: "ARM1176",
    0x4100B020: "ARM11-MPCore",
    0x41009260: "ARM926",
    0x41009460: "ARM946",
    0x41009660: "ARM966",
    0x510006F0: "Krait",
    0x510000F0: "Scorpion",
}
# The bits of AT_HWCAP on ARM, from bit 0: Linux's <asm/hwcap.h>.
_ARM_FEATURES = (
    *("swp", "half", "thumb", "26bit", "fastmult", "fpa", "vfpv2", "edsp", "java", "iwmmxt"),
    *("crunch", "thumbee", "neon", "vfpv3", "vfpv3d16", "tls", "vfpv4", "idiva", "idivt"),
)


def read_system_info(dump: DumpBytes, stream: Stream, notes: Notes) -> SystemInfo:
    """The system info stream; a build text that cannot be read is left out."""
    fields = dump.fields(_RECORD, stream.offset)
    architecture, level, revision, cpu_count = fields[:4]
    platform, build_at = fields[8:10]
    os, os_name = _SYSTEMS.get(platform, ("other", f"0x{platform:08x}"))
    cpu, cpu_name = _CPUS.get(architecture, ("other", f"0x{architecture:04x}"))
    os_version = ".".join(map(str, fields[5:8]))
    os_build = None
    if build_at:
        try:
            os_build = dump.utf16(build_at)
        except Damaged as damage:
            notes.add("operating system's build", str(damage))
    return SystemInfo(
        os=os,
        cpu=cpu,
        os_version=os_version,
        os_build=os_build or None,
        os_name=os_name,
        kernel=_kernel(os, os_version, os_build or ""),
        cpu_name=cpu_name,
        cpu_info=_cpu_info(architecture, level, revision, fields[12:]),
        cpu_count=cpu_count,
        architecture=architecture,
    )


def _kernel(os: OsName, version: str, build: str) -> str | None:
    """The release of a Linux kernel, as `uname -r` says it.

    Breakpad writes `uname -srvmo` as the build and no version; Crashpad splits the release
    into version and build.
    """
    if os not in {"linux", "android"}:
        return None
    words = build.split(None, 2)
    if words[:1] == ["Linux"]:
        return words[1] if len(words) > 1 else None
    if version == "0.0.0":
        return None
    return version + words[0] if words and words[0][:1] in {"-", "+", "."} else version


def _cpu_info(architecture: int, level: int, revision: int, cpu: tuple[int, ...]) -> str | None:
    if architecture in {_X86, _AMD64}:
        vendor = ""
        if architecture == _X86:
            # As C prints it: up to the first NUL, one character a byte.
            vendor = pack("<3I", *cpu[:3]).partition(b"\0")[0].decode("latin-1") + " "
        return f"{vendor}family {level} model {revision >> 8} stepping {revision & 0xFF}"
    if architecture == _ARM:
        return _arm_info(level, *cpu[:2])
    return None


def _arm_info(level: int, cpuid: int, capabilities: int) -> str:
    text = f"ARMv{level}"
    if cpuid:
        vendor, part = cpuid >> 24, cpuid & 0xFF00FFF0
        text += " " + _ARM_VENDORS.get(vendor, f"vendor(0x{vendor:x})")
        text += " " + _ARM_PARTS.get(part, f"part(0x{part:x})")
    if capabilities:
        names = (name for bit, name in enumerate(_ARM_FEATURES) if capabilities >> bit & 1)
        text += " features: " + ",".join(names)
    return text
