"""The CloudFormation template: a module for each concept, put together in `stack.py`."""
