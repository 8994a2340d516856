// The public face of the package.
export {}
