import { createHash, timingSafeEqual } from 'node:crypto'
import type { TLSSocket } from 'node:tls'
import { PinGoError } from '@pingo/wire'

/**
 * Checks that the machine at the other end shows the certificate that it announced: it is known by its fingerprint, not by a name that an
 * authority vouches for.
 * @param pin SHA-256 of the certificate's DER, hex
 * @throws PinGoError SOURCE_UNTRUSTED; the socket is destroyed
 */
export function checkPin(socket: TLSSocket, pin: string, address: string): void {
  const shown = createHash('sha256')
    .update(socket.getPeerX509Certificate()?.raw ?? '')
    .digest()
  const wanted = Buffer.from(pin, 'hex')
  if (shown.byteLength === wanted.byteLength && timingSafeEqual(shown, wanted)) return
  socket.destroy()
  throw new PinGoError('SOURCE_UNTRUSTED', `${address} shows another certificate than the one it announced.`, {
    hint: 'It may have restarted: join it again. If this stays so, somebody sits between.',
  })
}
