import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Address, type Sender, toNano } from '@ton/core'
import { artifact } from '../compile/artifacts.ts'
import { JettonWallet } from '../contracts/jetton.ts'
import { LocalChain } from '../endpoint/emulator/chain.ts'
import { localEndpoint } from '../endpoint/emulator/endpoint.ts'
import { LOCAL } from '../endpoint/networks.ts'
import { open } from '../endpoint/open.ts'
import { signerOf } from '../keys/ed25519.ts'
import { walletOn } from '../wallet/send.ts'
import { w5Of } from '../wallet/w5.ts'
import { defaultGenesis, parseGenesisConfig } from './config.ts'
import { deploy, deployCost } from './deploy.ts'
import { addressBook, planDeployment } from './plan.ts'
import { verifyDeployment } from './verify.ts'

const START = 1_767_225_600
const signer = signerOf(Buffer.alloc(32, 7))
const deployer = w5Of(signer.publicKey, LOCAL).address
const input = defaultGenesis({
  network: 'local',
  deployer: deployer.toString(),
  arbiter: signer.publicKey.toString('hex'),
  start: START,
})

async function chainWith(gram: string) {
  let now = START * 1000
  const chain = await LocalChain.open({ clock: () => now })
  await chain.fund(deployer, toNano(gram))
  return { chain, endpoint: localEndpoint(chain), wait: (seconds: number) => (now += seconds * 1000) }
}

test('a deployment that is broken off goes on where it was, and mints once', async () => {
  const { chain, endpoint } = await chainWith('20')
  const deployment = planDeployment(parseGenesisConfig(input))
  const wallet = walletOn(endpoint, signer)
  let left = 4
  const failing: Sender = {
    address: wallet.address,
    send: async (args) => {
      if (left-- === 0) throw new Error('the power is gone')
      await wallet.send(args)
    },
  }
  const before = await deployCost(endpoint, deployment)
  assert.equal(before.length, deployment.contracts.length)
  await assert.rejects(deploy(endpoint, failing, deployment), /power/)
  assert.equal((await deployCost(endpoint, deployment)).length, before.length - 4)
  const steps = await deploy(endpoint, wallet, deployment)
  assert.deepEqual(
    steps.map(({ state }) => state),
    ['there', 'there', 'there', 'there', 'deployed', 'deployed', 'deployed', 'deployed', 'deployed', 'minted'],
  )
  assert.ok((await deploy(endpoint, wallet, deployment)).every(({ state }) => state === 'there'))
  assert.deepEqual(await deployCost(endpoint, deployment), [])
  for (const [holder, amount] of deployment.holders) {
    assert.equal(
      (await open(endpoint, JettonWallet.of('pingo', deployment.minter.address, holder)).getWalletData()).balance,
      amount,
    )
  }
  await chain.close()
})

test('everything is recomputed from the chain’s state, also years later; what is wrong is found', async () => {
  const { chain, endpoint, wait } = await chainWith('20')
  const deployment = planDeployment(parseGenesisConfig(input))
  const wallet = walletOn(endpoint, signer)
  const early = await verifyDeployment(endpoint, deployment)
  assert.ok(early.length > 0 && early.every(({ holds }) => !holds))
  await deploy(endpoint, wallet, deployment)
  const checks = await verifyDeployment(endpoint, deployment)
  assert.deepEqual(
    checks.filter(({ holds }) => !holds),
    [],
  )
  assert.ok(checks.length > 15)
  wait(400 * 24 * 3600)
  await open(endpoint, deployment.vaults.platform).sendRelease(wallet, 32)
  await open(endpoint, deployment.vestings.team).sendRelease(wallet)
  assert.deepEqual(
    (await verifyDeployment(endpoint, deployment)).filter(({ holds }) => !holds),
    [],
  )
  const other = planDeployment(parseGenesisConfig({ ...input, team: new Address(0, Buffer.alloc(32, 3)).toString() }))
  assert.ok((await verifyDeployment(endpoint, other)).some(({ what, holds }) => !holds && what.startsWith('team')))
  await chain.close()
})

test('the address book says which code stands where, and anyone derives the same', () => {
  const book = addressBook(planDeployment(parseGenesisConfig(input)))
  assert.deepEqual(book, addressBook(planDeployment(parseGenesisConfig(structuredClone(input)))))
  for (const { contract, codeHash } of book) assert.equal(codeHash, artifact(contract).hash)
  assert.equal(new Set(book.map(({ address }) => address)).size, book.length)
})

test('a wrong configuration is refused by the name of its field', () => {
  for (const [field, value] of [
    ['deployer', 'nobody'],
    ['arbiter', '00'.repeat(32)],
    ['feeShare', 1.1],
    ['start', -1],
    ['passUnit', '0'],
    ['extra', 1],
  ] as const) {
    assert.throws(() => parseGenesisConfig({ ...input, [field]: value }), { code: 'CHAIN_CONFIG' }, field)
  }
})

test('only the deployer of the configuration deploys', async () => {
  const { chain, endpoint } = await chainWith('1')
  const wallet = walletOn(endpoint, signerOf(Buffer.alloc(32, 9)))
  await assert.rejects(deploy(endpoint, wallet, planDeployment(parseGenesisConfig(input))), { code: 'CHAIN_DEPLOY' })
  await chain.close()
})
