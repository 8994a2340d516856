export { LOCAL_NETWORK, LocalChain, type LocalChainOptions } from './chain.ts'
export { forwardFee, gasFee, type Prices, pricesOf } from './config.ts'
export { localEndpoint } from './endpoint.ts'
