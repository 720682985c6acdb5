# Stand-in for nixpkgs' library, with a module system that refuses what the real one does.
let
  b = builtins;
  is = type: value: b.isAttrs value && value._type or null == type;
  at = b.concatStringsSep ".";

  # A condition moves down to the single definitions: it may read what it is part of.
  pushDown =
    d: if is "if" d then map (b.mapAttrs (_: lib.mkIf d.condition)) (pushDown d.content) else [ d ];
  discharge = d: if is "if" d then lib.optionals d.condition (discharge d.content) else [ d ];

  evalDefs =
    loc: type: default: defs:
    let
      all = b.concatMap discharge defs;
      strong = b.filter (d: !is "default" d) all;
      found = if strong == [ ] then map (d: d.content) all else strong;
      values = if b.all type.check found then found else wrong;
      wrong = throw "A definition for option `${at loc}' is not of type `${type.name}'.";
    in
    if found == [ ] then default else type.merge { inherit loc values; };

  evalOptions =
    loc: options: sets:
    let
      defs = b.concatMap pushDown sets;
      unknown = b.attrNames (removeAttrs (b.foldl' (a: d: a // d) { } defs) (b.attrNames options));
      missing = throw "The option `${at (loc ++ [ (b.head unknown) ])}' does not exist.";
      value =
        name: option:
        let
          here = loc ++ [ name ];
          mine = b.concatMap (d: lib.optionals (d ? ${name}) [ d.${name} ]) defs;
          none =
            option.default or option.type.empty or (throw "The option `${at here}' has no value defined.");
          leaf = (option.apply or (x: x)) (evalDefs here option.type none mine);
        in
        if is "option" option then leaf else (evalOptions here option mine).checked;
    in
    rec {
      config = b.mapAttrs value options;
      checked = if unknown == [ ] then config else missing;
    };

  evalModules =
    args:
    let
      own = { inherit lib options config; };
      given = own // (args.specialArgs or (_: { })) config;
      read =
        module:
        let
          value = if b.isPath module then import module else module;
          body = if b.isFunction value then value given else value;
          plain = !(body ? options || body ? config);
          config = if plain then removeAttrs body [ "imports" ] else body.config or { };
        in
        [ (body // { inherit config; }) ] ++ b.concatMap read (body.imports or [ ]);
      all = b.concatMap read args.modules;
      options = mergeOptions (map (m: m.options or { }) all);
      result = evalOptions [ ] options (map (m: m.config) all);
      config = result.config;
    in
    { inherit options; } // { config = result.checked; };

  kind = name: check: merge: { inherit name check merge; };
  scalar = name: check: kind name check same;
  same = d: if b.all (v: v == b.head d.values) d.values then b.head d.values else clash d.loc;
  clash = loc: throw "The option `${at loc}' has conflicting definitions.";
  int = low: high: scalar "integer" (v: b.isInt v && v >= low && v <= high);
  list = check: elem: { empty = [ ]; } // kind "list of ${elem.name}" check (items elem);
  items = elem: d: map (v: evalDefs d.loc elem null [ v ]) (b.concatLists d.values);
  attrs = type: d: b.mapAttrs (name: evalDefs (d.loc ++ [ name ]) type null) (zip d.values);
  zip = sets: b.zipAttrsWith (_: v: v) (b.concatMap pushDown sets);
  sub = module: d: (evalModules { modules = [ module ] ++ map wrap d.values; }).config;
  wrap = config: { inherit config; };
  orNull = type: d: if b.elem null d.values then same d else type.merge d;
  off = type: { empty = false; } // type;
  types = {
    raw = scalar "anything" (_: true);
    str = scalar "string" b.isString;
    bool = off (scalar "boolean" b.isBool);
    package = scalar "package" (v: v.type or null == "derivation");
    port = int 0 65535;
    ints.positive = int 1 2147483647;
    ints.unsigned = int 0 2147483647;
    ints.between = int;
    enum = values: scalar "one of ${b.toJSON values}" (v: b.elem v values);
    strMatching = regex: scalar "string like ${regex}" (v: b.isString v && b.match regex v != null);
    listOf = list b.isList;
    nonEmptyListOf = list (v: b.isList v && v != [ ]);
    nullOr = type: kind "null or ${type.name}" (v: v == null || type.check v) (orNull type);
    attrsOf = type: { empty = { }; } // kind "attribute set of ${type.name}" b.isAttrs (attrs type);
    submodule = module: kind "submodule" b.isAttrs (sub module);
  };

  # Options by their dotted names; lists and sets are empty, switches off, unless set.
  nest = leaf: keys: if keys == [ ] then leaf else { ${b.head keys} = nest leaf (b.tail keys); };
  words = lib.splitString " ";
  named = leaf: name: nest leaf (lib.splitString "\\." name);
  mergeOptions = b.zipAttrsWith (_: v: if is "option" (b.head v) then b.head v else mergeOptions v);

  lib = b // {
    inherit types evalModules mergeOptions;
    version = "26.11pre-stand-in";
    versionAtLeast = have: want: b.compareVersions have want >= 0;
    mkOption = option: option // { _type = "option"; };
    mkIf = condition: content: { _type = "if"; } // { inherit condition content; };
    mkDefault = content: { _type = "default"; } // { inherit content; };
    of = type: names: mergeOptions (map (named (lib.mkOption { inherit type; })) (words names));
    genAttrs = names: f: b.mapAttrs (name: _: f name) (b.groupBy (name: name) names);
    filterAttrs = f: set: removeAttrs set (b.filter (n: !f n set.${n}) (b.attrNames set));
    optionals = on: value: if on then value else [ ];
    optionalString = on: value: if on then value else "";
    removePrefix = prefix: b.substring (b.stringLength prefix) (-1);
    splitString = separator: string: b.filter b.isString (b.split separator string);
    makeBinPath = packages: b.concatStringsSep ":" (map (package: "${package}/bin") packages);
    cleanSourceWith = args: b.path (removeAttrs args [ "src" ] // { path = args.src; });
    licenses.mit.spdxId = "MIT";
    platforms.linux = words "x86_64-linux aarch64-linux";
    platforms.darwin = words "x86_64-darwin aarch64-darwin";
  };
in
lib
