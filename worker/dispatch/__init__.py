"""The dispatcher: in every worker process, leading in one."""
