"""The same seven-step job on other engines, and on this one with steps that do nothing."""
