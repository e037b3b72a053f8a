"""Symbol files: what they are, the caches made of them once, and looking addresses up.

`debug_file` reads a file and builds its caches, `module_symbols` answers from
caches alone, `store` keeps both, `source` opens what an app may use, and
`symbolication` names the frames of reports that came as text.
"""
