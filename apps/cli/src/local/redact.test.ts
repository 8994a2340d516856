import assert from 'node:assert/strict'
import { test } from 'node:test'
import { redact } from './redact.ts'

const PEER = '12D3KooW9wZdsfmwKyVKvGkBt7jQZ2k5tCAZ3dShkh7X7G3UaJK4'
const TOKEN = 'YPkVDtigZ24XOeZg9oe-Dytzy9A9maOS1Q_r9LuN2aw'
const CID = 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy'

test('secrets and addresses are left out, by name, by looks, and as given; what helps stays', () => {
  const said = redact(
    {
      token: 'abc',
      nested: [{ Authorization: 'Basic abc', ticket: 't', key: 'k', jobName: 'mnist' }],
      text: [
        `http://127.0.0.1:1234/#/machine?token=${TOKEN}`,
        `Bearer ${TOKEN}`,
        `dialling /ip4/192.168.1.5/tcp/7071/p2p/${PEER}`,
        '/dns4/fog.example.org/tcp/1 and https://user:pass@fog.example.org:7070/x',
        'fe80::1 and 2001:db8:1:2:3:4:5:6 and ::1 write to someone@example.org',
        `${TOKEN.slice(0, 40)} alone`,
        'the secret is hunter2-hunter2',
      ],
      [PEER]: 1,
      clock: 'at 11:32:21, 12 leases of round 3',
      cid: CID,
      sentence: 'Bubblewrap: own namespaces',
    },
    ['hunter2-hunter2'],
  )
  const text = JSON.stringify(said)
  for (const secret of [
    TOKEN,
    TOKEN.slice(0, 40),
    PEER,
    '192.168',
    '127.0.0.1',
    'fog.example',
    'fe80',
    '2001:db8',
    '::1',
    'someone',
    'hunter2',
    'abc',
    'pass',
  ])
    assert.ok(!text.includes(secret), `${secret} in ${text}`)
  for (const kept of ['mnist', '11:32:21', '12 leases', CID, 'own namespaces', '/tcp/7071'])
    assert.ok(text.includes(kept), `${kept} in ${text}`)
})
