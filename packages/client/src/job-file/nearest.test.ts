import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nearest } from './nearest.ts'

const WORDS = ['optimizer', 'lr', 'batch', 'epochs', 'seed', 'schedule', 'weightDecay']

test('the word that was meant is found, and none when nothing is near', () => {
  assert.equal(nearest('epoch', WORDS), 'epochs')
  assert.equal(nearest('optimiser', WORDS), 'optimizer')
  assert.equal(nearest('bacth', WORDS), 'batch')
  assert.equal(nearest('weight_decay', WORDS), 'weightDecay')
  assert.equal(nearest('batchSize', WORDS), 'batch')
  assert.equal(nearest('price', WORDS), undefined)
  assert.equal(nearest('', WORDS), undefined)
})
