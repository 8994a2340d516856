export { LocalChain, type LocalChainOptions } from './chain.ts'
export { forwardFee, gasFee, type Prices, pricesOf } from './config.ts'
export { localEndpoint } from './endpoint.ts'
export { type ChainServer, serveChain } from './server.ts'
