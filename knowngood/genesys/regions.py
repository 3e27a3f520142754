"""The public regions of Genesys Cloud and their hosts.

Source: the official SDK's `PureCloudRegionHosts` (269.0.0); the login host is the API host with
`api.` replaced by `login.`.
"""

from typing import Final, NamedTuple


class Region(NamedTuple):
    """A region's name and its two base URLs, without a trailing slash."""

    name: str
    api: str
    login: str


_DOMAINS: Final = {
    "us_east_1": "mypurecloud.com",
    "eu_west_1": "mypurecloud.ie",
    "ap_southeast_2": "mypurecloud.com.au",
    "ap_northeast_1": "mypurecloud.jp",
    "eu_central_1": "mypurecloud.de",
    "us_west_2": "usw2.pure.cloud",
    "ca_central_1": "cac1.pure.cloud",
    "ap_northeast_2": "apne2.pure.cloud",
    "eu_west_2": "euw2.pure.cloud",
    "ap_south_1": "aps1.pure.cloud",
    "us_east_2": "use2.us-gov-pure.cloud",
    "sa_east_1": "sae1.pure.cloud",
    "me_central_1": "mec1.pure.cloud",
    "ap_northeast_3": "apne3.pure.cloud",
    "eu_central_2": "euc2.pure.cloud",
    "mx_central_1": "mxc1.pure.cloud",
    "ap_southeast_1": "apse1.pure.cloud",
    "eusc_de_east_1": "edee1.eusc-pure.cloud",
}

REGIONS: Final = tuple(
    Region(name, f"https://api.{domain}", f"https://login.{domain}")
    for name, domain in _DOMAINS.items()
)


def region_named(name: str) -> Region:
    """Find a region by its AWS name (`us_east_1`, also with dashes) or domain (`mypurecloud.com`).

    Raises:
        ValueError: there is no such region; the message lists them all.
    """
    wanted = name.strip().lower()
    for region in REGIONS:
        aws, domain = region.name, _DOMAINS[region.name]
        if wanted in {aws, aws.replace("_", "-"), domain, f"api.{domain}"}:
            return region
    known = ", ".join(f"{aws} ({domain})" for aws, domain in _DOMAINS.items())
    raise ValueError(f"no such Genesys Cloud region; the regions are {known}")
