import { createHash, webcrypto } from 'node:crypto'
import type { Identity } from '@pingo/wire'

export interface Certificate {
  /** PKCS #8, PEM. */
  key: string
  /** X.509, PEM. */
  cert: string
  /** SHA-256 of the certificate's DER, hex: what {@link Source.pin} holds. */
  fingerprint: string
}

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const
const DAY_MS = 24 * 60 * 60 * 1000
/** For clocks that are behind. */
const BACKDATED_MS = 2 * DAY_MS
const VALID_MS = 3650 * DAY_MS
const SERIAL_BYTES = 16

/**
 * A self-signed certificate (RFC 5280, ECDSA P-256, a fresh key each time) for HTTPS between machines. It proves nothing by
 * itself: its fingerprint is told over the channel that proved the peer's identity, and whoever fetches pins it.
 */
export async function makeCertificate(identity: Pick<Identity, 'peerId'>): Promise<Certificate> {
  await import('reflect-metadata')
  const x509 = await import('@peculiar/x509')
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])
  const serial = Buffer.from(webcrypto.getRandomValues(new Uint8Array(SERIAL_BYTES)))
  serial[0]! &= 0x7f // a positive integer
  const cert = await x509.X509CertificateGenerator.createSelfSigned(
    {
      serialNumber: serial.toString('hex'),
      name: `CN=${identity.peerId}`,
      notBefore: new Date(Date.now() - BACKDATED_MS),
      notAfter: new Date(Date.now() + VALID_MS),
      signingAlgorithm: ALGORITHM,
      keys: keys as CryptoKeyPair,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension(['1.3.6.1.5.5.7.3.1']), // TLS server (RFC 5280, 4.2.1.12)
        new x509.SubjectAlternativeNameExtension([{ type: 'dns', value: `${identity.peerId}.pingo.invalid` }]),
      ],
    },
    webcrypto as unknown as Crypto,
  )
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey))
  return {
    key: `-----BEGIN PRIVATE KEY-----\n${der
      .toString('base64')
      .replace(/(.{64})/g, '$1\n')
      .trimEnd()}\n-----END PRIVATE KEY-----\n`,
    cert: `${cert.toString('pem')}\n`,
    fingerprint: createHash('sha256').update(new Uint8Array(cert.rawData)).digest('hex'),
  }
}
