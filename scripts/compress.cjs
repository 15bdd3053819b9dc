"use strict";
// Writes what is served beside each file in compressed form: the controller then sends bytes and compresses nothing.
const fs = require("fs");
const path = require("path");
const zlib = require("zlib");

function compressDirectory(directory) {
  for (const entry of fs.readdirSync(directory, { withFileTypes: true })) {
    const file = path.join(directory, entry.name);
    if (entry.isDirectory()) compressDirectory(file);
    else {
      const bytes = fs.readFileSync(file);
      const params = { [zlib.constants.BROTLI_PARAM_QUALITY]: 11 };
      fs.writeFileSync(`${file}.br`, zlib.brotliCompressSync(bytes, { params }));
      fs.writeFileSync(`${file}.gz`, zlib.gzipSync(bytes, { level: 9 }));
    }
  }
}

module.exports = { compressDirectory };
