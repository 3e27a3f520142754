"""The public Platform API's dialect: what a real Genesys Cloud org speaks.

Paths, members and enums are those of Genesys' official SDK (PureCloudPlatformClientV2 269.0.0), and
`tests/conformance` holds every call against it. `docs/genesys.md` lists what only a real org can
tell.
"""
