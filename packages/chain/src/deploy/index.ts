export { defaultGenesis, type GenesisConfig, type GenesisInput, parseGenesisConfig } from './config.ts'
export { type DeployStep, deploy, deployCost } from './deploy.ts'
export { addressBook, type BookEntry, type Deployed, type Deployment, planDeployment } from './plan.ts'
export { type Check, verifyDeployment } from './verify.ts'
