"""Crashbucket beside Breakpad's minidump_stackwalk, dump by dump."""
