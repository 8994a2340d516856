/** A time limit that stands still while it is held. */
export class Countdown {
  #timer: ReturnType<typeof setTimeout> | undefined
  #left: number | undefined
  #since = 0
  #held = false
  #expire: () => void = () => {}

  /** Begins anew; when held, it begins to run once released. */
  start(ms: number, expire: () => void): void {
    this.clear()
    this.#left = ms
    this.#expire = expire
    this.#run()
  }

  clear(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#left = undefined
  }

  hold(isHeld: boolean): void {
    if (isHeld === this.#held) return
    this.#held = isHeld
    if (!isHeld) this.#run()
    else if (this.#timer !== undefined) {
      clearTimeout(this.#timer)
      this.#timer = undefined
      this.#left = Math.max(0, this.#left! - (performance.now() - this.#since))
    }
  }

  #run(): void {
    if (this.#held || this.#left === undefined) return
    this.#since = performance.now()
    this.#timer = setTimeout(() => {
      this.clear()
      this.#expire()
    }, this.#left)
  }
}
