"""What is read of one minidump at most. The counts in the file are never believed beyond these."""

from __future__ import annotations

MAX_STREAMS = 1024  # writers know about 30 kinds; Breakpad itself refuses more than 128
MAX_THREADS = 4096  # Breakpad's own limit
MAX_MODULES = 4096  # twice Breakpad's limit; a large macOS app maps about 1,000
MAX_MEMORY_RANGES = 65_536  # room for a full dump of a large Windows process
MAX_MAPPINGS = 65_536  # the kernel's default vm.max_map_count is 65,530
MAX_ANNOTATIONS = 1024  # apps set dozens
MAX_NAME_CHARS = 1024  # Breakpad's own limit, and macOS' PATH_MAX
MAX_ANNOTATION_BYTES = 20_480  # Crashpad's Annotation::kValueMaxSize
MAX_ANNOTATION_TOTAL_BYTES = 1_048_576  # of a dump, so that many may not name one long text
MAX_MAPS_BYTES = 4_194_304  # /proc/PID/maps of a process with 65,530 mappings is about 4 MB
MAX_LINUX_TEXT_BYTES = 65_536  # of the other texts; what is read of them stands further up
MAX_NOTES = 50  # nobody reads a longer list of damages
MAX_NOTES_OF_A_KIND = 5  # then only how many more
