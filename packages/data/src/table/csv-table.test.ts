import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { importDataset } from '../import.ts'
import type { ImportOptions } from '../import-options.ts'
import { everything, inDirectory, MemoryFiles, says } from '../testing.ts'

/** Imports a text as a file; the samples as sorted texts "field,field…→target". */
async function load(text: string | Buffer, options: ImportOptions = {}, name = 'table.csv') {
  let loaded:
    | { train: Awaited<ReturnType<typeof importDataset>>['train']; samples: string[]; fields: string[] }
    | undefined
  await inDirectory(async (directory) => {
    const path = join(directory, name)
    await writeFile(path, text)
    const files = new MemoryFiles()
    const { train } = await importDataset(path, files, options)
    const { input, target } = await everything(train, files)
    const fields = train.columns[0]!.fields!
    const row = (values: ArrayLike<unknown>, size: number, i: number) =>
      Array.from(values)
        .slice(i * size, (i + 1) * size)
        .join()
    const targets = train.columns[1]!.shape[0] ?? 1
    const samples = Array.from(
      { length: train.samples },
      (_, i) => `${row(input!, fields.length, i)}→${row(target!, targets, i)}`,
    ).sort()
    loaded = { train, samples, fields }
  })
  return loaded!
}

test('numbers and a class column: packed input in the order of the file, class ids, mean and deviation', async () => {
  const { train, samples, fields } = await load('a,species,b\n1,cat,10\n2,dog,20\n3,cat,60\n', { target: 'species' })
  assert.equal(train.kind, 'tabular')
  assert.deepEqual(fields, ['a', 'b'])
  assert.deepEqual(samples, ['1,10→0', '2,20→1', '3,60→0'])
  const [input, target] = train.columns
  assert.deepEqual(target, {
    name: 'target',
    role: 'target',
    dtype: 'int32',
    shape: [],
    classes: ['cat', 'dog'],
    fields: ['species'],
  })
  assert.deepEqual(input!.mean, [2, 30])
  assert.ok(Math.abs(input!.std![0]! - Math.sqrt(2 / 3)) < 1e-12)
})

test('the target is label, target, class or y, else the last column', async () => {
  assert.deepEqual((await load('a,Label,b\n1,x,2\n3,y,4\n')).train.columns[1]!.fields, ['Label'])
  assert.deepEqual((await load('y,a,b\n1,5,2.5\n0,6,4.5\n')).train.columns[1]!.fields, ['y'])
  assert.deepEqual((await load('a,b,c\n1,5,x\n0,6,z\n')).train.columns[1]!.fields, ['c'])
})

test('an unlabelled table has inputs alone, whatever its columns are called; a second file may follow it', async () => {
  await inDirectory(async (directory) => {
    const path = join(directory, 'table.csv')
    const files = new MemoryFiles()
    await writeFile(path, 'a,label,b\n1,x,2.5\n3,y,4.5\n')
    const { train } = await importDataset(path, files, { unlabelled: true })
    assert.deepEqual(
      train.columns.map(({ name, fields }) => [name, fields]),
      [['input', ['a', 'label=x', 'label=y', 'b']]],
    )
    await writeFile(path, 'b,a,label\n5,6,y\n')
    const { train: second } = await importDataset(path, files, { like: train })
    const { input } = await everything(second, files)
    assert.deepEqual([...input!], [6, 0, 1, 5])
    const { train: named } = await importDataset(path, files, { unlabelled: true, target: 'b' })
    assert.deepEqual(named.columns[1]!.fields, ['b'], 'a named target is one')
  })
})

test('texts, booleans and few whole numbers are classes, fractions and many numbers are quantities', async () => {
  const target = async (cells: (string | number)[], options: ImportOptions = {}) =>
    (await load(`x,t\n${cells.map((cell, i) => `${i / 7},${cell}`).join('\n')}\n`, options)).train.columns[1]!
  assert.deepEqual((await target([10, 9, 10, 9, 100, 100])).classes, ['9', '10', '100'])
  assert.deepEqual((await target(['b', 'a', 'B', 'a'])).classes, ['B', 'a', 'b'])
  assert.deepEqual((await target(['true', 'false', 'true'])).classes, ['false', 'true'])
  assert.deepEqual((await target(['1.0', '1', '01', '2', '2', '2'])).classes, ['1', '2'])
  assert.equal((await target([1.5, 2, 3, 3])).dtype, 'float32')
  assert.equal((await target(Array.from({ length: 60 }, (_, i) => i * 3))).dtype, 'float32')
  assert.equal((await target([1, 1, 2, 2], { task: 'regression' })).dtype, 'float32')
  assert.deepEqual((await target([1.5, 2.5], { task: 'classification' })).classes, ['1.5', '2.5'])
})

test('several targets at once are quantities', async () => {
  const { train, samples } = await load('a,b,c\n1,2,3\n4,5,6\n', { target: 'b, c' })
  assert.deepEqual([train.columns[1]!.shape, train.columns[1]!.fields], [[2], ['b', 'c']])
  assert.deepEqual(samples, ['1→2,3', '4→5,6'])
})

test('separators, byte order mark, quotes, line ends, blank lines, decimal commas', async () => {
  const plain = ['1.5,2→0', '3.5,4→1']
  for (const text of [
    'a,b,c\n1.5,2,x\n3.5,4,y',
    'a;b;c\r\n1.5;2;x\r\n\r\n3.5;4;y\r\n',
    'a\tb\tc\n1.5\t2\tx\n3.5\t4\ty\n',
    'a|b|c\n1.5|2|x\n3.5|4|y\n',
    '\ufeffa,b,c\n"1.5","2",x\n 3.5 , 4 ,"y"\n',
    'a;b;c\n1,5;2;x\n3,5;4;y\n',
    'a,b,c\r1.5,2,x\r3.5,4,y\r',
  ])
    assert.deepEqual((await load(text)).samples, plain, JSON.stringify(text))
  assert.deepEqual((await load('\ufeffa,b,c\n1,2,x\n')).fields, ['a', 'b'])
})

test('a header is found, or its absence', async () => {
  const fields = async (text: string, options: ImportOptions = {}) => (await load(text, options)).fields
  assert.deepEqual(await fields('5.1,3.5,setosa\n4.9,3.0,virginica\n'), ['column1', 'column2'])
  assert.deepEqual(await fields('0,1,2,3,label\n5,6,7,8,a\n9,9,9,9,b\n'), ['0', '1', '2', '3'])
  assert.deepEqual(await fields('0,1,2,3,4\n5,6,7,8,1\n9,9,9,9,0\n'), ['0', '1', '2', '3'])
  assert.deepEqual(await fields('1,2,3\n4,5,6\n'), ['column1', 'column2'])
  assert.deepEqual(await fields('0,1,2,3\n4,5,6,7\n'), ['column1', 'column2', 'column3'])
  assert.deepEqual(await fields('label,0,1,2,3\na,6,7,8,9\nb,9,9,9,9\n'), ['0', '1', '2', '3'])
  assert.deepEqual(await fields('colour,kind\nred,a\nblue,b\n'), ['colour=blue', 'colour=red'])
  assert.deepEqual(await fields('red,a\nblue,b\nred,b\n'), ['column1=blue', 'column1=red'])
  assert.deepEqual(await fields('1,2,3\n4,5,6\n', { header: true }), ['1', '2'])
})

test('the row numbers that a table was saved with are no feature', async () => {
  assert.deepEqual((await load(',a,label\n0,7,x\n1,9,y\n2,4,x\n')).fields, ['a'])
  assert.deepEqual((await load(',a,label\n5,7,x\n1,9,y\n2,4,x\n')).fields, ['column1', 'a'])
})

test('text columns become one field a category, booleans one field of 0 and 1', async () => {
  const { train, samples, fields } = await load('size,colour,new,label\n1,red,true,a\n2,blue,false,b\n3,red,TRUE,a\n')
  assert.deepEqual(fields, ['size', 'colour=blue', 'colour=red', 'new'])
  assert.deepEqual(train.columns[0]!.categories, { colour: ['blue', 'red'] })
  assert.deepEqual(samples, ['1,0,1,1→0', '2,1,0,0→1', '3,0,1,1→0'])
})

test('texts that come again among numbers are categories, a single one is a slip and named', async () => {
  const doors = ['2', '3', '4', '5more']
  const cars = Array.from({ length: 24 }, (_, i) => `${doors[i % 4]},${i % 2 ? 'good' : 'bad'}`).join('\n')
  assert.deepEqual(
    (await load(`doors,label\n${cars}\n`)).fields,
    doors.map((d) => `doors=${d}`),
  )
  await assert.rejects(
    load('a,b,label\n1,2,x\n3,oops,y\n5,6,x\n'),
    says('DATA_NOT_A_NUMBER', 'line 3', "column 'b'", "'oops'"),
  )
})

test('a missing number is refused, filled by the mean of the training split, or its row left out', async () => {
  const text = 'a,b,label\n1,10,x\n2,,y\n3,NA,x\n6,40,y\n'
  await assert.rejects(load(text), says('DATA_MISSING_VALUE', 'line 3', "column 'b'", 'mean or drop'))
  const filled = await load(text, { missing: 'mean' })
  assert.deepEqual(filled.samples, ['1,10→0', '2,25→1', '3,25→0', '6,40→1'])
  assert.deepEqual(filled.train.columns[0]!.mean, [3, 25])
  assert.ok(Math.abs(filled.train.columns[0]!.std![1]! - Math.sqrt(450 / 4)) < 1e-12)
  assert.deepEqual((await load(text, { missing: 'drop' })).samples, ['1,10→0', '6,40→1'])
  const untold = 'a,label\n1,x\n2,\n3,y\n'
  await assert.rejects(load(untold), says('DATA_MISSING_VALUE', 'line 3', "column 'label'", 'target'))
  assert.deepEqual((await load(untold, { missing: 'drop' })).samples, ['1→0', '3→1'])
})

test('features choose columns, in the order of the file', async () => {
  const text = 'a,id,b,label\n1,k1,2,x\n3,k2,4,y\n'
  assert.deepEqual((await load(text, { features: ['b', 'A'] })).fields, ['a', 'b'])
  await assert.rejects(load(text, { features: ['bb'] }), says('DATA_NO_COLUMN', "'bb'", "Did you mean 'b'?"))
  await assert.rejects(load(text, { features: ['a', 'label'] }), says('DATA_OPTION', "'label' is the target"))
})

test('pixels stay numbers in raw units', async () => {
  const header = ['label', ...Array.from({ length: 16 }, (_, i) => `${1 + (i >> 2)}x${1 + (i % 4)}`)].join()
  const row = (label: number) => [label, ...Array.from({ length: 16 }, (_, i) => (i * label) % 256)].join()
  const { train } = await load(`${header}\n${[5, 0, 7, 5, 0, 7].map(row).join('\n')}\n`)
  assert.deepEqual(
    [train.columns[0]!.dtype, train.columns[0]!.shape, train.columns[0]!.scale],
    ['float32', [16], undefined],
  )
  assert.deepEqual(train.columns[1]!.classes, ['0', '5', '7'])
})

test('a second file gets the fields, categories and classes of the first, found by name or place', async () => {
  const { train: like } = await load('size,colour,label\n1,red,b\n2,blue,a\n3,red,b\n')
  const again = await load('colour,label,size\nblue,b,9\n', { like })
  assert.deepEqual(again.samples, ['9,1,0→1'])
  assert.deepEqual(again.train.columns, like.columns)
  await assert.rejects(
    load('colour,label,size\nblue,c,9\n', { like }),
    says('DATA_UNKNOWN_CLASS', 'line 2', "'c'", "'a', 'b'"),
  )
  await assert.rejects(
    load('colour,label,size\nblu,a,9\n', { like }),
    says('DATA_UNKNOWN_CATEGORY', "'blu'", "Did you mean 'blue'?"),
  )
  await assert.rejects(
    load('color,label,size\nblue,a,9\n', { like }),
    says('DATA_NO_COLUMN', "'colour'", "Did you mean 'color'?"),
  )
  await assert.rejects(load('colour,size,x\nblue,9,1\n', { like }), says('DATA_NO_COLUMN', "target column 'label'"))
  const { train: nameless } = await load('1,2,x\n3,4,y\n')
  assert.deepEqual((await load('5,6,y\n', { like: nameless })).samples, ['5,6→1'])
})

test('mistakes in a file are named with their place and the fix', async () => {
  await assert.rejects(load(''), says('DATA_EMPTY', 'empty'))
  await assert.rejects(load('\n\n'), says('DATA_EMPTY', 'no row'))
  await assert.rejects(load('a,b,label\n'), says('DATA_EMPTY', 'no row of data'))
  await assert.rejects(load('a,b\n1,2\n3\n'), says('DATA_ROW_RAGGED', 'line 3 has 1 cells', '2 columns'))
  await assert.rejects(load('a,b\n1,2\n3,4,5\n'), says('DATA_ROW_RAGGED', 'line 3 has 3 cells'))
  await assert.rejects(load('a,b\n1,2\n"3,4\n'), says('DATA_CSV_QUOTE', 'line 3'))
  await assert.rejects(load('a,b,a\n1,2,3\n'), says('DATA_COLUMN_TWICE', 'columns 1 and 3', "'a'"))
  await assert.rejects(load('a,b\n1,2\n', { target: 'labl' }), says('DATA_NO_COLUMN', "'labl'"))
  await assert.rejects(load('label,b\n1,2\n', { target: 'labl' }), says('DATA_NO_COLUMN', "Did you mean 'label'?"))
  await assert.rejects(load('a\n1\n2\n'), says('DATA_NO_FEATURES', 'delimiter'))
  await assert.rejects(load('a,b\n1,2\n1e999,3\n'), says('DATA_NOT_A_NUMBER', 'line 3', '1e999'))
  await assert.rejects(load('a,b\n1,2\n1e39,3\n'), says('DATA_NOT_A_NUMBER', 'line 3', '1e39'))
  const names = Array.from({ length: 300 }, (_, i) => `${i % 2},name ${i}`).join('\n')
  await assert.rejects(load(`label,name\n${names}\n`), says('DATA_TOO_MANY_CATEGORIES', "'name'", 'features'))
  const many = Array.from({ length: 3000 }, (_, i) => `${i},word ${i}`).join('\n')
  await assert.rejects(load(`a,word\n${many}\n`), says('DATA_TOO_MANY_CLASSES', "'word'"))
  await assert.rejects(
    load(Buffer.from([0x61, 0x2c, 0x62, 0x0a, 0x31, 0x2c, 0xff, 0x0a])),
    says('DATA_NOT_UTF8', 'byte 6'),
  )
  await assert.rejects(load('a,b\n1,2\n', { limits: { columns: 1 } }), says('DATA_TOO_LARGE'))
})
