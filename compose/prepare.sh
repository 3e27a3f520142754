#!/bin/sh
# Makes what compose.yaml mounts as secrets, once: passwords and tokens are drawn at random, and
# what is there already is kept. With --simulator the org is the simulated one.
set -eu
umask 077
cd "$(dirname "$0")/.."

simulator=
case "${1-}" in
"") ;;
--simulator) simulator=yes ;;
*)
    echo "usage: $0 [--simulator]" >&2
    exit 2
    ;;
esac

random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }

# Containers read these as users of their own: a file is open, the directory above it is not.
keep() {
    if [ ! -s "secrets/$1" ]; then
        cat >"secrets/$1"
        chmod 644 "secrets/$1"
    fi
}

mkdir -p secrets
worker_password=$(random)
flower_password=$(random)
if [ ! -s secrets/redis_users ]; then
    # The passwords belong together: one file without the others would be of no use.
    rm -f secrets/knowngood_broker_url secrets/knowngood_redis_url secrets/flower_broker_url
fi
# Nobody can log in as `default`, yet it may do everything: many a Redis loads its append-only
# file as that user, and drops each transaction that it may not do (redis #14541, valkey #3983).
keep redis_users <<END
user default off resetpass ~* &* +@all
user health on nopass resetkeys resetchannels -@all +ping
user knowngood on >$worker_password resetkeys ~kg:* ~_kombu.* ~unacked* ~rollback* ~deployment* ~health* ~alerts* ~celeryev* ~*celery.pidbox* resetchannels &/0.celery.pidbox &/0.celeryev/* &/0.celeryev/worker.* -@all +@read +@write +@pubsub +@transaction +@connection +@scripting +time -@dangerous +info +config|get
user flower on >$flower_password resetkeys ~_kombu.* ~unacked* ~celeryev* ~*celery.pidbox* %R~rollback* %R~deployment* %R~health* %R~alerts* resetchannels &/0.celery.pidbox &/0.celeryev/* &/0.celeryev/worker.* -@all +@read +@write +@pubsub +@transaction +@connection +@scripting +time -@dangerous +info
END
echo "redis://knowngood:$worker_password@redis:6379/0" | keep knowngood_broker_url
echo "redis://knowngood:$worker_password@redis:6379/0" | keep knowngood_redis_url
echo "redis://flower:$flower_password@redis:6379/0" | keep flower_broker_url
echo "knowngood:$(random)" | keep knowngood_flower_basic_auth
echo "read:$(random) deploy:$(random) rollback:$(random)" | keep knowngood_api_tokens
random | keep knowngood_hook_secret
: | keep knowngood_alert_urls
: | keep knowngood_integration_alert_urls
if [ "$simulator" ]; then
    echo simulator | keep knowngood_genesys_client_secret
    if [ ! -e settings.env ]; then
        cat >settings.env <<END
KNOWNGOOD_GENESYS_BASE_URL=http://simulator:8089
KNOWNGOOD_GENESYS_CLIENT_ID=simulator
KNOWNGOOD_HEALTH_INTERVAL=5
END
    fi
fi
: | keep knowngood_genesys_client_secret

if [ ! -s secrets/knowngood_genesys_client_secret ]; then
    echo "write the OAuth client's secret into secrets/knowngood_genesys_client_secret"
fi
if [ ! -e settings.env ]; then
    echo "write KNOWNGOOD_GENESYS_REGION and KNOWNGOOD_GENESYS_CLIENT_ID into settings.env"
fi
