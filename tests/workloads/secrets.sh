#!/bin/sh
# Command lines as agents run them, each with the same planted secret in it. None does anything.
true=/bin/true
$true --api-key=PLANTED0SECRET
$true --api-key PLANTED0SECRET
$true --token PLANTED0SECRET
$true --password=PLANTED0SECRET
$true --client-secret PLANTED0SECRET
$true -H 'Authorization: Bearer PLANTED0SECRET'
$true --header 'x-api-key: PLANTED0SECRET'
$true -u user:PLANTED0SECRET https://db.example/
$true https://user:PLANTED0SECRET@db.example/path
$true 'https://api.example/v1?n=1&api_key=PLANTED0SECRET'
$true postgres://admin:PLANTED0SECRET@localhost/db
$true sk-proj-PLANTED0SECRETabcdefghijklmnopqrstuvwxyz012345
$true ghp_PLANTED0SECRETabcdefghijklmnopqrstuv
$true '{"password": "PLANTED0SECRET"}'
env OPENAI_API_KEY=PLANTED0SECRET $true
env AWS_SECRET_ACCESS_KEY=PLANTED0SECRET $true
env DB_PASSWORD=PLANTED0SECRET $true
sh -c 'OPENAI_API_KEY=PLANTED0SECRET /bin/true'
sh -c '/bin/true $(/bin/true --token PLANTED0SECRET)'
sh -c '/bin/true "x$(/bin/true --token PLANTED0SECRET)"'
sh -c '/bin/true `/bin/true --token PLANTED0SECRET`'
sh -c 'exec /bin/true -H "Authorization: Bearer PLANTED0SECRET"'
