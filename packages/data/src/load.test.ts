import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { loadDataset } from './index.ts'
import { inDirectory, says } from './testing.ts'

test('a table in memory: its columns as tensors, shuffled together, with what is known of them', () =>
  inDirectory(async (directory) => {
    const file = join(directory, 'points.csv')
    const rows = Array.from({ length: 50 }, (_, i) => `${i},${2 * i},${i % 2 ? 'odd' : 'even'}`)
    await writeFile(file, ['a,b,kind', ...rows].join('\n'))
    const { train, test: held } = await loadDataset(file, { target: 'kind', test: 0.2, seed: 3 })
    assert.deepEqual([train.samples, held!.samples], [40, 10])
    const { classes } = train.columns.target!
    const seen = [train, held!].flatMap(({ tensors, samples }) => {
      const { input, target } = tensors
      assert.deepEqual([input!.shape, target!.shape], [[samples, 2], [samples]])
      return Array.from({ length: samples }, (_, i) => {
        const a = Number(input!.data[2 * i])
        assert.equal(Number(input!.data[2 * i + 1]), 2 * a)
        assert.equal(classes![Number(target!.data[i])], a % 2 ? 'odd' : 'even')
        return a
      })
    })
    assert.notDeepEqual(
      seen,
      seen.toSorted((a, b) => a - b),
    )
    assert.deepEqual(
      seen.toSorted((a, b) => a - b),
      rows.map((_, i) => i),
    )
    assert.equal(train.columns.input!.mean!.length, 2)
    await assert.rejects(loadDataset(join(directory, 'none.csv')), says('DATA_FILE_MISSING', 'none.csv'))
  }))
