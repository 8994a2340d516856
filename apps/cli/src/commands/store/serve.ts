import { homeFolder } from '@pingo/client/local'
import type { Command } from 'commander'
import { type ClientOptions, type Context, clientCommand, port } from '../../context.ts'
import { askedToEnd } from '../../local/node-life.ts'
import { withStore } from './with-store.ts'

export function serveCommand({ signal }: Context): Command {
  return clientCommand('serve', 'Serve your store as S3 on this machine: for aws-cli, rclone, SDKs.', [
    'pingo store serve',
    'pingo store serve --port 9100 --bucket backups',
    'pingo store serve --json',
  ])
    .option('--port <port>', 'port on 127.0.0.1; 0 takes a free one', port, 9000)
    .option('--bucket <bucket>', 'make this bucket when it is not there')
    .action((flags: ClientOptions & { port: number; bucket?: string }) =>
      withStore(flags, { signal }, async (store, output) => {
        const { serveStore } = await import('@pingo/client/store')
        await store.nodes({ signal }) // says now whether the network can be reached
        const endpoint = await serveStore(store, {
          home: homeFolder(),
          port: flags.port,
          bucket: flags.bucket,
          onNote: (note) => output.note(`Note: ${note}`),
        })
        const { url, key } = endpoint
        output.result({ ready: true, url, ...key, region: 'us-east-1', pid: process.pid }, () => {
          const bucket = flags.bucket ?? 'BUCKET'
          output.say(`endpoint    ${url}  (path style; data are encrypted here, before they leave)`)
          output.say(`access key  ${key.accessKeyId}`)
          output.say(`secret      ${key.secretAccessKey}`)
          output.say()
          output.say('aws-cli:')
          output.say(`  export AWS_ACCESS_KEY_ID=${key.accessKeyId} AWS_SECRET_ACCESS_KEY=${key.secretAccessKey}`)
          output.say(`  aws --endpoint-url ${url} --region us-east-1 s3 cp FILE s3://${bucket}/`)
          output.say('rclone:')
          output.say(
            `  rclone config create pingo s3 provider Other endpoint ${url} access_key_id ${key.accessKeyId} secret_access_key ${key.secretAccessKey}`,
          )
          output.say(`  rclone sync FOLDER pingo:${bucket}`)
          output.say()
          output.say('Ctrl-C ends it.')
        })
        await askedToEnd(signal, {})
        await endpoint.close()
      }),
    )
}
