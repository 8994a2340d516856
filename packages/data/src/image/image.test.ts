import assert from 'node:assert/strict'
import { copyFile, mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { crc32, deflateSync } from 'node:zlib'
import { PinGoError } from '@pingo/wire'
import fc from 'fast-check'
import { PNG } from 'pngjs'
import { importDataset } from '../import.ts'
import { DEFAULT_LIMITS } from '../limits.ts'
import { everything, inDirectory, MemoryFiles, says } from '../testing.ts'
import { decodeImage } from './decode.ts'
import { toPlanes } from './planes.ts'
import { resizePlane } from './resize.ts'

const fixtures = join(import.meta.dirname, '../../fixtures/images')
const expected = JSON.parse(await readFile(join(fixtures, 'expected.json'), 'utf8'))
const decode = async (name: string) => decodeImage(name, await readFile(join(fixtures, name)), DEFAULT_LIMITS)

function within(actual: Uint8Array, wanted: readonly number[], tolerance: number): void {
  assert.equal(actual.length, wanted.length)
  for (const [i, value] of actual.entries())
    assert.ok(Math.abs(value - wanted[i]!) <= tolerance, `byte ${i} is ${value}, Pillow has ${wanted[i]}`)
}

test('decodes what Pillow decodes: PNG exactly, JPEG within its rounding', async () => {
  for (const name of ['colour.png', 'grey.png', 'palette.png', 'interlaced.png', 'transparent.png'])
    within(toPlanes(await decode(name), 3, 12, 16), expected.rgb[name], 0)
  for (const name of ['colour.jpg', 'grey.jpg']) within(toPlanes(await decode(name), 3, 12, 16), expected.rgb[name], 3)
  // Chroma is stored at half size here, and decoders differ in how they widen it again.
  const progressive = toPlanes(await decode('progressive.jpg'), 1, 12, 16)
  const difference =
    progressive.reduce((sum, value, i) => sum + Math.abs(value - expected.luma[i]), 0) / progressive.length
  assert.ok(difference < 6, `differs by ${difference} on average`)
})

test('knows grey from colour, and makes grey of colour as Pillow does', async () => {
  const channels = async (name: string) => (await decode(name)).channels
  assert.deepEqual(
    await Promise.all(['grey.png', 'grey.jpg', 'grey16.png', 'colour.png', 'palette.png', 'colour.jpg'].map(channels)),
    [1, 1, 1, 3, 3, 3],
  )
  within(toPlanes(await decode('colour.png'), 1, 12, 16), expected.luma, 0)
  within(toPlanes(await decode('grey.png'), 1, 12, 16), expected.luma, 0)
  within(toPlanes(await decode('grey16.png'), 1, 12, 16), expected.luma, 0)
})

test('shrinks by area and grows bilinearly as Pillow and numpy do', () => {
  const grey = Uint8Array.from(expected.luma)
  within(resizePlane(grey, 16, 12, 8, 6), expected.half, 1)
  within(resizePlane(grey, 16, 12, 5, 7), expected.odd, 1)
  within(resizePlane(grey, 16, 12, 32, 24), expected.double, 1)
})

test('a plain plane stays plain at any size', () => {
  const side = fc.integer({ min: 1, max: 20 })
  fc.assert(
    fc.property(side, side, side, side, fc.nat(255), (w, h, toW, toH, value) => {
      const out = resizePlane(new Uint8Array(w * h).fill(value), w, h, toW, toH)
      assert.deepEqual(out, new Uint8Array(toW * toH).fill(value))
    }),
  )
})

test('a folder of classes becomes uint8 images with scale 1/255', async () => {
  await inDirectory(async (directory) => {
    for (const [name, file] of [
      ['cat', 'colour.png'],
      ['dog', 'palette.png'],
      ['dog', 'colour.jpg'],
    ] as const) {
      await mkdir(join(directory, name), { recursive: true })
      await copyFile(join(fixtures, file), join(directory, name, file))
    }
    await writeFile(join(directory, 'notes.txt'), 'not an image')
    const files = new MemoryFiles()
    const { train } = await importDataset(directory, files)
    assert.equal(train.kind, 'image')
    assert.deepEqual(
      train.columns.map(({ dtype, shape, scale, classes }) => [dtype, shape, scale, classes]),
      [
        ['uint8', [3, 12, 16], 1 / 255, undefined],
        ['int32', [], undefined, ['cat', 'dog']],
      ],
    )
    const { input, target } = await everything(train, files)
    const cat = (target as Int32Array).indexOf(0)
    assert.deepEqual([...(input as Uint8Array).subarray(cat * 576, (cat + 1) * 576)], expected.rgb['colour.png'])

    const small = await importDataset(directory, files, { imageSize: [6, 8], channels: 1, test: 0.34 })
    assert.deepEqual([small.train.columns[0]!.shape, small.train.samples, small.test?.samples], [[1, 6, 8], 2, 1])
    await copyFile(join(fixtures, '../images.npy'), join(directory, 'cat', 'broken.png'))
    await assert.rejects(importDataset(directory, files), says('DATA_IMAGE', 'broken.png', 'PNG or JPEG'))
  })
})

test('a flat folder is labelled by labels.csv', async () => {
  await inDirectory(async (directory) => {
    for (const name of ['colour.png', 'palette.png']) await copyFile(join(fixtures, name), join(directory, name))
    const files = new MemoryFiles()
    await assert.rejects(importDataset(directory, files), says('DATA_NO_LABELS', '2 images', 'labels.csv'))
    await writeFile(join(directory, 'labels.csv'), 'file,label\ncolour.png,b\npalette.png,a\n')
    assert.deepEqual((await importDataset(directory, files)).train.columns[1]!.classes, ['a', 'b'])
    await writeFile(join(directory, 'labels.csv'), 'colour.png,0.5\npalette.png,2\n')
    const { train } = await importDataset(directory, files)
    assert.deepEqual([train.columns[1]!.dtype, train.columns[1]!.mean], ['float32', [1.25]])
    await writeFile(join(directory, 'labels.csv'), 'file,label\ncolour.png,b\ngone.png,a\n')
    await assert.rejects(importDataset(directory, files), says('DATA_FILE_MISSING', 'line 3', 'gone.png'))
    await writeFile(join(directory, 'labels.csv'), 'file,label\n../../etc/passwd.png,b\n')
    await assert.rejects(importDataset(directory, files), says('DATA_FILE_MISSING', 'passwd'))
  })
})

test('folders train and test give both splits with the same classes', async () => {
  await inDirectory(async (directory) => {
    for (const [folder, file] of [
      ['train/a', 'colour.png'],
      ['train/b', 'palette.png'],
      ['test/b', 'colour.png'],
    ] as const) {
      await mkdir(join(directory, folder), { recursive: true })
      await copyFile(join(fixtures, file), join(directory, folder, file))
    }
    const files = new MemoryFiles()
    const { train, test } = await importDataset(directory, files)
    assert.deepEqual([train.samples, test?.samples], [2, 1])
    assert.deepEqual(test?.columns, train.columns)
    assert.deepEqual((await everything(test!, files)).target, Int32Array.of(1))
  })
})

test('images of different sizes, none at all, damaged or giant ones are named', async () => {
  await inDirectory(async (directory) => {
    const files = new MemoryFiles()
    await assert.rejects(importDataset(directory, files), says('DATA_NO_IMAGES', 'folder of images for each class'))
    await mkdir(join(directory, 'a'))
    const path = join(directory, 'a', 'x.png')
    const whole = await readFile(join(fixtures, 'colour.png'))
    for (const length of [10, 33, 60, whole.length - 20]) {
      await writeFile(path, whole.subarray(0, length))
      await assert.rejects(importDataset(directory, files), says('DATA_IMAGE', 'x.png', 'cut off or damaged'))
    }
    // A header that says 50,000 x 50,000 pixels.
    const bomb = Buffer.from(whole)
    bomb.writeUInt32BE(50_000, 16)
    bomb.writeUInt32BE(50_000, 20)
    bomb.writeUInt32BE(crc32(bomb.subarray(12, 29)), 29)
    await writeFile(path, bomb)
    await assert.rejects(importDataset(directory, files), says('DATA_TOO_LARGE', '50000 x 50000'))
    await copyFile(join(fixtures, 'colour.png'), path)
    await writeFile(join(directory, 'a', 'y.png'), PNG.sync.write(new PNG({ width: 4, height: 3 })))
    await assert.rejects(
      importDataset(directory, files),
      says('DATA_SHAPE_MISMATCH', 'y.png', '3 x 4', '12 x 16', 'imageSize'),
    )
    assert.equal((await importDataset(directory, files, { imageSize: [5, 5] })).train.samples, 2)
    await assert.rejects(importDataset(path, files), says('DATA_NO_LABELS', 'single file'))
    await symlink(path, join(directory, 'a', 'link.png'))
    assert.equal((await importDataset(directory, files, { imageSize: [5, 5] })).train.samples, 3)
    await assert.rejects(importDataset(join(directory, 'gone'), files), says('DATA_FILE_MISSING', 'gone'))
  })
})

test('an interlaced image that unpacks to more than its size is refused', async () => {
  const whole = await readFile(join(fixtures, 'interlaced.png'))
  const data = deflateSync(Buffer.alloc(1 << 20))
  const chunk = Buffer.concat([Buffer.alloc(4), Buffer.from('IDAT'), data, Buffer.alloc(4)])
  chunk.writeUInt32BE(data.length)
  chunk.writeUInt32BE(crc32(chunk.subarray(4, -4)), chunk.length - 4)
  const bomb = Buffer.concat([whole.subarray(0, 33), chunk, whole.subarray(-12)])
  assert.throws(() => decodeImage('bomb.png', bomb, DEFAULT_LIMITS), says('DATA_IMAGE', 'damaged'))
})

test('a damaged image is refused by a PinGoError, whatever the damage', async () => {
  for (const name of ['colour.png', 'interlaced.png', 'colour.jpg', 'progressive.jpg']) {
    const whole = await readFile(join(fixtures, name))
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { minLength: 1, maxLength: 6 }),
        fc.nat(whole.length),
        (changes, cut) => {
          const bytes = Buffer.from(whole)
          for (const [at, value] of changes) bytes[at] = value
          try {
            decodeImage(name, bytes.subarray(0, cut % 3 === 0 ? cut : whole.length), { imagePixels: 100_000 })
          } catch (error) {
            if (!(error instanceof PinGoError)) throw error
          }
        },
      ),
      { numRuns: 400 },
    )
  }
})
