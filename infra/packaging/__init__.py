"""`make package`: the template and the zip of a stack."""
