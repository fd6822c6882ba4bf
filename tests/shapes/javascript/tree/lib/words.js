const STOP = [];

function count(text) {
  return text.split(" ").length;
}

module.exports = { STOP, count };
