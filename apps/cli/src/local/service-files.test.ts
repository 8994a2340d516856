import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ServiceOptions, serviceFor } from './service-files.ts'

const o: ServiceOptions = {
  node: '/opt/my node/bin/node',
  command: '/opt/100%/$x/pingo "1".js',
  args: ['--fog', '/ip4/1.2.3.4/tcp/1/p2p/x'],
  home: '/home/a & b/.pingo',
}

test('a systemd unit: lowest priority, its own cgroup, started again when it fails; words survive its quoting', () => {
  const { text, file, enable, disable } = serviceFor('linux', o)!
  assert.match(file, /\/systemd\/user\/pingo-contributor\.service$/)
  for (const line of [
    'Delegate=yes',
    'Nice=19',
    'CPUSchedulingPolicy=idle',
    'Restart=on-failure',
    'WantedBy=default.target',
  ])
    assert.ok(text.split('\n').includes(line), line)
  assert.ok(
    text.includes(
      'ExecStart="/opt/my node/bin/node" "/opt/100%%/$$x/pingo \\"1\\".js" "contribute" "--fog" "/ip4/1.2.3.4/tcp/1/p2p/x"\n',
    ),
    text,
  )
  assert.ok(text.includes('Environment="PINGO_HOME=/home/a & b/.pingo"\n'))
  assert.deepEqual(enable.at(-1)!.slice(0, 4), ['systemctl', '--user', 'enable', '--now'])
  assert.deepEqual(disable[0]!.slice(0, 4), ['systemctl', '--user', 'disable', '--now'])
})

test('a launchd agent and a task of Windows are well-formed, with words escaped', () => {
  for (const platform of ['darwin', 'win32'] as const) {
    const { text } = serviceFor(platform, o)!
    assert.ok(!/&(?!#\d+;)/.test(text), 'no bare &')
    const open = [...text.matchAll(/<([A-Za-z]+)(?=[\s>])[^>]*(?<!\/)>/g)].map(([, name]) => name)
    const close = [...text.matchAll(/<\/([A-Za-z]+)>/g)].map(([, name]) => name)
    assert.deepEqual(open.toSorted(), close.toSorted())
  }
  assert.match(serviceFor('darwin', o)!.text, /<key>Nice<\/key>\s*<integer>19<\/integer>/)
  assert.match(serviceFor('win32', o)!.text, /<Priority>10<\/Priority>/)
  assert.equal(serviceFor('aix', o), undefined)
})
