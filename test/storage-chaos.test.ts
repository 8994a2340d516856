import assert from 'node:assert/strict'
import { test } from 'node:test'
import { wreak } from '../bench/storage/chaos.ts'
import { killOften } from '../bench/storage/crash.ts'

const failed = (rows: { name: string; measured: unknown; bar: string; holds: boolean | null }[]) =>
  rows.filter(({ holds }) => holds === false).map(({ name, measured, bar }) => `${name}: ${measured}, not ${bar}`)

test('storage: 5 of 16 nodes die at once under load, one lies; nothing is wrong or lost, and all is repaired', {
  timeout: 600_000,
}, async () => {
  const rows = await wreak({ seconds: 4, clients: 6, workers: 2, maxBytes: 2 ** 20, seed: 1 })
  assert.deepEqual(failed(rows), [])
})

test('storage: clients and nodes are killed at 10 moments; nothing acknowledged is lost, nothing leaks', {
  timeout: 600_000,
}, async () => {
  assert.deepEqual(failed(await killOften(10, 1)), [])
})
